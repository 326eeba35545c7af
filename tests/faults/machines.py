"""A local cluster whose machines can be killed and replaced."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.faults.disk import SmallDisk

LOCAL_SH = Path(__file__).parents[2] / "cluster" / "local.sh"
NAME = "faults"


class Machines:
    """A head without CPUs for work and some workers, as `cluster/local.sh up` starts them."""

    def __init__(self, folder: Path, disk: SmallDisk) -> None:
        """disk: one that all nodes see."""
        self._folder = folder
        self._disk = disk

    def up(self, num_workers: int, cpus_per_node: int) -> None:
        words = ["up", str(num_workers), f"--cpus-per-node={cpus_per_node}"]
        self._local_sh(*words, before=self._disk.mounting)

    def down(self) -> None:
        self._local_sh("down", before=[])

    def add_machine(self) -> None:
        self._local_sh("add", before=self.beside_them)

    @property
    def beside_them(self) -> list[str]:
        """A command that runs another one where it sees what the nodes see."""
        return self._disk.entering(self._state()["nodes"][0]["pid"])

    @property
    def disk_path(self) -> Path:
        """The small disk, as jobs see it."""
        return self._disk.path

    @property
    def disk(self) -> Path:
        """The small disk, as this process sees it."""
        return self._disk.seen_from_outside(self._state()["nodes"][0]["pid"])

    def _local_sh(self, *words: str, before: list[str]) -> None:
        environment = {"GIST_RAY_CLUSTER": str(self._folder), "PYTHON": sys.executable}
        result = subprocess.run(
            [*before, str(LOCAL_SH), *words, f"--name={NAME}"],
            env={**os.environ, **environment, **self._disk.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a job needs to join."""
        cluster = self._state()
        return {
            "RAY_ADDRESS": cluster["address"],
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": cluster["token_file"],
            **self._disk.environment,
        }

    def workers(self, title: str) -> list[psutil.Process]:
        """Ray's processes on the machines of this cluster whose title holds `title`."""
        found = []
        for node in self._state()["nodes"]:
            if psutil.pid_exists(node["pid"]):
                for process in psutil.Process(node["pid"]).children(recursive=True):
                    if title in _title(process):
                        found.append(process)
        return found

    def machine_of(self, process: psutil.Process) -> dict[str, Any]:
        above = {parent.pid for parent in process.parents()}
        return next(node for node in self._state()["nodes"] if node["pid"] in above)

    def kill_machine(self, node: dict[str, Any]) -> None:
        """All its processes at once and without a farewell, as when the power goes."""
        leader = psutil.Process(node["group"])
        everything = [leader, *leader.children(recursive=True)]
        for process in everything:
            process.suspend()
        for process in everything:
            process.kill()

    def _state(self) -> dict[str, Any]:
        return json.loads((self._folder / NAME / "nodes.json").read_text())


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
