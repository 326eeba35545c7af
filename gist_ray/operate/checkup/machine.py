"""Findings about the hardware and what the operating system allows."""

import os
import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.filesize import decimal

from gist_ray.operate.checkup.finding import Finding

GB = 10**9
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
SHARED_MEMORY = "/dev/shm"

LITTLE_MEMORY = 4 * GB
LITTLE_SHARED_MEMORY = GB
LITTLE_DISK, NO_DISK = 10 * GB, GB
FEW_FILES = 4096


def cpus() -> Finding:
    allowed, there = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    return Finding("ok", "CPUs", f"{allowed} (of {there} in the machine)")


def memory() -> Finding:
    """Returns the finding about the memory that this process can use, limited by the machine and by
    the control group."""
    limit = CGROUP_MEMORY.read_text().strip() if CGROUP_MEMORY.exists() else "max"
    found = psutil.virtual_memory()
    total = found.total if limit == "max" else min(found.total, int(limit))
    return memory_finding(total, min(found.available, total))


def memory_finding(total: int, available: int) -> Finding:
    """Returns the finding about memory. total, available: bytes."""
    shown = f"{decimal(available)} free of {decimal(total)}"
    if available >= LITTLE_MEMORY:
        return Finding("ok", "memory", shown)
    fix = "Workers may be killed for memory: end other programs, or run on a larger machine."
    return Finding("warning", "memory", shown, fix)


def shared_memory() -> Finding:
    if not os.path.isdir(SHARED_MEMORY):
        return shared_memory_finding(0)
    return shared_memory_finding(shutil.disk_usage(SHARED_MEMORY).total)


def shared_memory_finding(num_bytes: int) -> Finding:
    shown = f"{decimal(num_bytes)} in {SHARED_MEMORY}"
    if num_bytes >= LITTLE_SHARED_MEMORY:
        return Finding("ok", "shared memory", shown)
    fix = "Ray keeps its objects in files instead, which is slower. In Docker: --shm-size=4g."
    return Finding("warning", "shared memory", shown, fix)


@dataclass(frozen=True)
class Gpu:
    name: str
    num_bytes: int
    """Its memory."""


def gpus() -> Finding:
    """Returns the finding about the GPUs that torch can use. Imports torch."""
    import torch

    found = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found.append(Gpu(properties.name, properties.total_memory))
    has_driver = Path("/proc/driver/nvidia/version").exists()
    return gpu_finding(found, has_driver, torch.__version__)


def gpu_finding(found: Sequence[Gpu], has_driver: bool, torch_version: str) -> Finding:
    if found:
        shown = ", ".join(f"{gpu.name} ({decimal(gpu.num_bytes)})" for gpu in found)
        return Finding("ok", "GPUs", shown)
    if has_driver:
        fix = "Install a CUDA build: make install EXTRAS=gpu, or pip install 'gist-ray[gpu]'."
        shown = f"an NVIDIA driver, but torch {torch_version} sees no GPU"
        return Finding("warning", "GPUs", shown, fix)
    return Finding("ok", "GPUs", "none; everything runs on the CPU")


def disk(subject: str, folder: str) -> Finding:
    """Returns the finding whether files can be written to a folder, which may not exist yet, and
    how much fits."""
    path = Path(folder).absolute()
    while not path.exists():
        path = path.parent
    if not os.access(path, os.W_OK | os.X_OK):
        fix = f"Make {path} writable for this user, or choose another folder."
        return Finding("problem", subject, f"{folder}: this user may not write there", fix)
    return disk_finding(subject, folder, shutil.disk_usage(path).free)


def disk_finding(subject: str, folder: str, free: int) -> Finding:
    """Returns the finding about a disk. free: bytes."""
    shown = f"{decimal(free)} free in {folder}"
    if free >= LITTLE_DISK:
        return Finding("ok", subject, shown)
    fix = "Free some space (gist-ray clean ROOT --dry-run), or set root= to another disk."
    return Finding("problem" if free < NO_DISK else "warning", subject, shown, fix)


def open_files() -> Finding:
    return open_files_finding(*resource.getrlimit(resource.RLIMIT_NOFILE))


def open_files_finding(soft: int, hard: int) -> Finding:
    """Returns the finding about open files. soft, hard: limits of this process; RLIM_INFINITY (-1)
    is none."""
    if soft == resource.RLIM_INFINITY or soft >= FEW_FILES:
        shown = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,}"
        return Finding("ok", "open files", shown)
    may = hard if hard != resource.RLIM_INFINITY else 65536
    fix = f"Ray opens many connections: ulimit -n {max(may, FEW_FILES)}."
    return Finding("warning", "open files", f"{soft:,}", fix)
