"""Predictions from their record: status, clean and retry-failed, without a cluster."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.operate.clean import find_garbage, remove
from gist_ray.operate.jobs import COMMANDS, read_job
from gist_ray.operate.retry_run import retry_run
from gist_ray.operate.status import read_status
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.runs import read_plan
from gist_ray.store import storage
from tests.predict.made import predict, without_cluster, write_classifier, write_pictures


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cluster(monkeypatch)
    # of two pages the second has what fails
    monkeypatch.setattr("gist_ray.predict.images.ROWS_PER_PAGE", 2)


@pytest.fixture
def images(tmp_path: Path) -> str:
    folder = write_pictures(tmp_path / "images", a="0", b="1", c="throttled", d="corrupt")
    table = tmp_path / "images.csv"
    table.write_text("image\n" + "".join(f"{folder}/{name}.jpg\n" for name in "abcd"))
    return str(table)


@pytest.fixture
def out(classifier: str, images: str, tmp_path: Path) -> Path:
    """A prediction that ended with failed images."""
    with pytest.raises(TooManyFailedRowsError):
        predict(classifier, images, tmp_path / "out", max_failed_fraction=0.3)
    return tmp_path / "out"


def summary_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def test_status_of_a_prediction(out: Path, job: Callable[..., Any]) -> None:
    run = read_status(str(out), "predict")
    assert run is not None
    assert run.state == "failed"
    assert "2 of 4 rows failed" in run.message
    assert [(stage.name, stage.state, dict(stage.failed)) for stage in run.stages] == [
        ("predict page 1", "stored", {}),
        ("predict page 2", "stored", {"throttled": 1, "corrupt": 1}),
    ]
    listed = job("status", str(out))
    assert (listed.returncode, "predict" in listed.stdout) == (0, True)
    assert job("status", str(out), "--run", "predict").returncode == 1


def test_clean_keeps_the_pages(out: Path) -> None:
    assert find_garbage(str(out)) == []
    forgotten = find_garbage(str(out), forget="predict")
    assert {one.place[0] for one in forgotten if one.place} == {"classified"}
    assert len(forgotten) == 2


def test_clean_takes_a_page_that_no_prediction_refers_to(out: Path) -> None:
    other = out / "artifacts" / "classified" / "0123456789abcdef"
    storage.write_json(str(other / "begun.json"), {})
    found = find_garbage(str(out))
    remove(str(out), found)
    assert [one.uri for one in found] == [str(other)]
    assert len(list(other.parent.iterdir())) == 2


def test_images_that_come_well_are_in_the_summary(out: Path, tmp_path: Path) -> None:
    pages = {p: p.stat().st_mtime_ns for p in out.glob("artifacts/classified/*/artifact.json")}
    write_pictures(tmp_path / "images", c="2")
    assert summary_of(out)["failed"] == {"throttled": 1, "corrupt": 1}
    retry_run(str(out), "predict", {"throttled"}, plan_only=False)
    summary = summary_of(out)
    assert (summary["rows_ok"], summary["failed"]) == (3, {"corrupt": 1})
    assert summary["classes"] == {"red one": 1, "green one": 1, "blue one": 1}
    errors = storage.read_parquet(f"{out}/errors.parquet").to_pylist()
    assert [row["kind"] for row in errors] == ["corrupt"]
    assert sum(page.stat().st_mtime_ns == made for page, made in pages.items()) == 1
    run = read_status(str(out), "predict")
    assert run is not None
    assert run.state == "finished"


def test_a_folder_that_was_moved_is_where_its_job_works(out: Path, tmp_path: Path) -> None:
    out.rename(tmp_path / "moved")
    job = read_job(f"{tmp_path}/moved", "predict")
    assert (job.root, job.name, job.command) == (f"{tmp_path}/moved", "predict", "predict")
    plan = read_plan(job.root, job.name)
    assert plan is not None
    assert [s.fingerprint for s in job.stages] == [s["fingerprint"] for s in plan["stages"]]


def test_a_command_without_rows_to_retry_is_said(out: Path) -> None:
    file = out / "runs" / "predict" / "plan.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "command": "pretrain"}))
    assert "pretrain" not in COMMANDS
    with pytest.raises(UserError, match=r"is a run of pretrain\. Start that command again instead"):
        read_job(str(out), "predict")
