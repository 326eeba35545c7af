"""A disk of a few MiB that fills up for real, for a cluster that any user may start.

It is a tmpfs in a mount namespace of the cluster's own. Where the kernel forbids users to make
namespaces (some containers and distributions do) a folder stands for it, and every Python process
of the cluster gets the kernel's own error, ENOSPC, when it opens a file for writing in the full
folder: the same way through the product, all but the kernel itself.
"""

import os
import subprocess
from functools import cached_property
from pathlib import Path

PRETENDING = """
import builtins, errno, io, os

FOLDER, LIMIT = os.environ["SMALL_DISK"], int(os.environ["SMALL_DISK_BYTES"])

def used():
    files = (os.path.join(at, name) for at, _, names in os.walk(FOLDER) for name in names)
    return sum(os.path.getsize(file) for file in files if os.path.exists(file))

def open_unless_full(file, mode="r", *arguments, **keywords):
    inside = isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith(FOLDER)
    if inside and set(mode) & set("wxa") and used() >= LIMIT:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return io.open(file, mode, *arguments, **keywords)

builtins.open = open_unless_full
"""


class SmallDisk:
    def __init__(self, path: Path, mib: int) -> None:
        self.path = path
        self.num_bytes = mib << 20

    @cached_property
    def is_mounted(self) -> bool:
        """Whether this user may make namespaces; else it is pretended."""
        return subprocess.run(["unshare", "-rm", "true"], check=False).returncode == 0

    @property
    def mounting(self) -> list[str]:
        """A command that runs another one in a new namespace with the disk in it."""
        if not self.is_mounted:
            return []
        mount = f'mount -t tmpfs -o size={self.num_bytes} tmpfs "$0" && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", mount, str(self.path)]

    def entering(self, pid: int) -> list[str]:
        """A command that runs another one in the namespace of a process."""
        if not self.is_mounted:
            return []
        return ["nsenter", f"--target={pid}", "--user", "--mount", "--preserve-credentials"]

    def seen_from_outside(self, pid: int) -> Path:
        return Path(f"/proc/{pid}/root{self.path}") if self.is_mounted else self.path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of processes that are to see the disk; none where it is mounted."""
        if self.is_mounted:
            return {}
        folder = self.path.with_name("pretending")
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(PRETENDING)
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "SMALL_DISK": str(self.path),
            "SMALL_DISK_BYTES": str(self.num_bytes),
            "PYTHONPATH": os.pathsep.join(paths),
        }
