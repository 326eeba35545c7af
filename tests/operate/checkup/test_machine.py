from pathlib import Path

import pytest

from gist_ray.operate.checkup import machine
from gist_ray.operate.checkup.machine import (
    GB,
    Gpu,
    disk,
    disk_finding,
    gpu_finding,
    memory_finding,
    open_files_finding,
    shared_memory_finding,
)


def test_the_levels_of_memory_shared_memory_and_files() -> None:
    assert memory_finding(16 * GB, 8 * GB).level == "ok"
    assert memory_finding(16 * GB, 1 * GB).level == "warning"
    assert shared_memory_finding(2 * GB).level == "ok"
    small = shared_memory_finding(64 * 2**20)  # Docker's own
    assert small.level == "warning"
    assert "--shm-size" in small.fix
    assert open_files_finding(65536, 65536).level == "ok"
    assert open_files_finding(-1, -1).found == "no limit"
    assert "ulimit -n 20000" in open_files_finding(1024, 20000).fix
    assert "ulimit -n 65536" in open_files_finding(1024, -1).fix


def test_little_disk_is_a_warning_and_none_a_problem() -> None:
    assert disk_finding("disk", "/data", 50 * GB).level == "ok"
    assert disk_finding("disk", "/data", 5 * GB).level == "warning"
    assert disk_finding("disk", "/data", GB // 2).level == "problem"


def test_a_folder_that_is_not_there_yet_is_judged_by_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(machine.os, "access", lambda path, mode: bool(asked.append(path)))
    found = disk("cache", str(tmp_path / "not" / "there"))
    assert asked == [tmp_path]
    assert found.level == "problem"
    assert "may not write" in found.found


def test_gpus_are_named_and_a_driver_without_them_is_a_warning() -> None:
    found = gpu_finding([Gpu("NVIDIA H100", 80 * GB)], has_driver=True, torch_version="2.13")
    assert (found.level, found.found) == ("ok", "NVIDIA H100 (80.0 GB)")
    assert gpu_finding([], has_driver=False, torch_version="2.13+cpu").level == "ok"
    blind = gpu_finding([], has_driver=True, torch_version="2.13+cpu")
    assert blind.level == "warning"
    assert "torch 2.13+cpu sees no GPU" in blind.found
