"""Runs made by hand: what a store holds at one moment of a run."""

import runpy
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.run.heartbeat import PROGRESS_FILE
from gist_ray.run.lease import process_lease
from gist_ray.run.progress import Progress
from gist_ray.run.runs import LEASE_FILE, METRICS_FILE, PLAN_FILE, run_folder
from gist_ray.run.stage import Stage
from gist_ray.schema import ERRORS, table
from gist_ray.settings.configs import CONFIGS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter


def nothing(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
    pass


def stage(name: str, *sources: Stage, group: str = "", num_rows: int | None = None) -> Stage:
    """A stage without work. group: "" is one of its own."""
    return Stage(
        name=name,
        kind="fake",
        group=group or name,
        identity={"name": name},
        run=nothing,
        inputs={source.name: source for source in sources},
        num_rows=num_rows,
    )


def errors_of(kinds: Mapping[str, int]) -> pa.Table:
    rows = [
        {"id": f"{kind}-{n}", "uri": "", "stage": "s", "kind": kind, "message": "m"}
        for kind, number in kinds.items()
        for n in range(number)
    ]
    return table(rows, ERRORS)


def far_away(silent_s: float, **more: Any) -> dict[str, Any]:
    """The lease of a process on another machine, as it was `silent_s` ago."""
    there = {"machine": "another", "host": "far", "pid": 7, "updated": time.time() - silent_s}
    return process_lease() | there | more


@dataclass
class Store:
    """A root, and what processes would have left there."""

    root: str

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root)

    def writer(self, of: Stage) -> ArtifactWriter:
        return of.writer(self.store)

    def make(
        self, of: Stage, rows: int = 3, failed: Mapping[str, int] | None = None, seconds: float = 1
    ) -> Artifact:
        writer = self.writer(of)
        writer.write(pa.table({"n": list(range(rows))}))
        writer.add_errors(errors_of(failed or {}))
        return writer.publish(seconds)

    def begin(self, of: Stage, silent_s: float = 0, **progress: Any) -> str:
        """Leaves what a stage does while it works; returns its folder."""
        writer = self.writer(of)
        storage.write_json(writer.file(PROGRESS_FILE), far_away(silent_s, **progress))
        storage.write_parquet(writer.file("parts/a.parquet"), pa.table({"n": [1]}))
        return writer.uri

    def plan(
        self,
        name: str,
        *stages: Stage,
        silent_s: float = 0,
        until: str | None = None,
        command: str = "run",
    ) -> None:
        folder = run_folder(self.root, name)
        started = time.time() - 60 - silent_s
        rows = [
            {
                "name": one.name,
                "kind": one.kind,
                "group": one.group,
                "fingerprint": one.fingerprint,
                "inputs": one.input_fingerprints,
                "num_rows": one.num_rows,
                "wanted": until is None or one.name.startswith(until),
            }
            for one in stages
        ]
        plan = {
            "name": name,
            "command": command,
            "started": started,
            "until": until,
            "process": far_away(60 + silent_s),
            "environment": {},
            "stages": rows,
        }
        storage.write_json(f"{folder}/{PLAN_FILE}", plan)
        storage.write_json(f"{folder}/{LEASE_FILE}", far_away(silent_s))

    def end(self, name: str, outcome: str, message: str = "", **of_stages: Any) -> None:
        folder = run_folder(self.root, name)
        plan = storage.read_json(f"{folder}/{PLAN_FILE}")
        metrics = {
            "name": name,
            "outcome": outcome,
            "message": message,
            "started": plan["started"],
            "ended": plan["started"] + 200,
            "seconds": 200,
            "stages": [
                {**row, "state": "missing", **of_stages.get(row["name"], {})}
                for row in plan["stages"]
            ],
        }
        storage.write_json(f"{folder}/{METRICS_FILE}", metrics)
        storage.delete(f"{folder}/{LEASE_FILE}")


@dataclass
class Ended:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """Calls jobs/NAME.py as from a command line, but in this process, which has loaded all."""

    def call(name: str, *words: str) -> Ended:
        script = str(CONFIGS.parent / "jobs" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [script, *words])
        monkeypatch.setenv("COLUMNS", "120")
        code: Any = 0
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture
def at(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


@pytest.fixture
def make_stage() -> Callable[..., Stage]:
    return stage
