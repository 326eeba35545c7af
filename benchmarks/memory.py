"""How much memory a process, or a tree of processes, takes at most (Linux)."""

from pathlib import Path


def resident_bytes() -> int:
    """What this process holds now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """The most that this process has held since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    # proc(5): 5 resets the peak to what is held now
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")
