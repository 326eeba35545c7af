"""A job from its problems to its end, without a cluster."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.run.job import Job, problems_of
from gist_ray.run.progress import Progress
from gist_ray.run.run_job import run_job
from gist_ray.run.stage import Resources, Stage
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter


@dataclass
class FakeConfig:
    name: str = "tiny"


def job(root: object, command: str = "pack", cpus: float = 0) -> Job:
    def work(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        writer.write(pa.table({"n": [1]}))

    stage = Stage(name="a", kind="fake", group="a", run=work, resources=Resources(cpus=cpus))
    return Job(
        command=command,
        name="tiny",
        config=FakeConfig(),
        root=str(root),
        stages=[stage],
        finish=lambda store, done: [f"made {done['a'].artifact.counts['rows_ok']}"],
    )


def test_stages_that_need_no_cluster_start_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("a cluster was connected to")

    monkeypatch.setattr("gist_ray.run.run_job.connect", never)
    run_job(job(tmp_path))
    assert "made 1" in capsys.readouterr().out
    with pytest.raises(AssertionError, match="a cluster was connected to"):
        run_job(job(tmp_path / "other", cpus=1))


def test_the_plan_says_that_a_stage_takes_all_cpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(job(tmp_path, cpus=math.inf), plan_only=True)
    assert "all" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_record_of_another_command_is_not_overwritten(tmp_path: Path) -> None:
    run_job(job(tmp_path))
    assert problems_of(job(tmp_path)) == []
    with pytest.raises(UserError, match=r"runs/tiny: is the record of another command, pack"):
        run_job(job(tmp_path, command="run"))


@pytest.mark.parametrize("plan", ["{", {"name": "tiny"}])
def test_a_record_that_does_not_name_its_command_is_no_hindrance(tmp_path: Path, plan: Any) -> None:
    uri = f"{tmp_path}/runs/tiny/plan.json"
    if isinstance(plan, str):
        storage.write_text(uri, plan)
    else:
        storage.write_json(uri, plan)
    assert problems_of(job(tmp_path)) == []
