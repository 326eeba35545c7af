"""A sweep whose process is killed goes on where it was and ends with the same table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gist_ray.settings.configs import CONFIGS
from gist_ray.store import storage
from gist_ray.sweep.tables import artifacts_of_trials, read_rows, sweep_folder
from tests.conftest import s3_environment
from tests.sweep.conftest import write_sweep

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long]

GRID = """
space:
  finetune.learning_rate: [1.0e-4, 1.0e-3]
  study.seeds: [1, 2]
"""

COMPARED = ["trial_id", "status", "error", "params", "seed", "shots", "num_epochs"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_sweep(tmp_path_factory.mktemp("own"), "grid", GRID)


def start(words: list[str], own: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(CONFIGS.parent / "jobs" / "sweep.py"), "--config-dir", own]
    return subprocess.Popen(
        [*command, "sweep=grid", "name=killed", *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(words: list[str], own: str, environment: dict[str, str]) -> str:
    """The output of a sweep that is let run to its end."""
    job = start(words, own, environment)
    output, _ = job.communicate(timeout=500)
    assert job.returncode == 0, output
    return output


def killed_after_a_trial(
    words: list[str], own: str, environment: dict[str, str], root: str
) -> dict[str, float]:
    """{trial: when it began} of those that had ended when the sweep was killed with -9."""
    job = start(words, own, environment)
    folder = sweep_folder(root, "killed")
    end = time.monotonic() + 400
    while time.monotonic() < end and job.poll() is None:
        rows = read_rows(folder)
        ended = {row["trial_id"]: row["begun"] for row in rows if row["status"] == "ok"}
        if ended and any(row["status"] == "running" for row in rows):
            os.kill(job.pid, signal.SIGKILL)
            job.wait()
            # its Ray dies with it, the trial that was running too
            time.sleep(5)
            assert len(ended) < 4
            return ended
        time.sleep(0.2)
    job.kill()
    raise AssertionError(f"no trial ended while another ran:\n{job.communicate()[0]}")


def table_of(root: str) -> list[dict[str, object]]:
    table = storage.read_parquet(storage.join(sweep_folder(root, "killed"), "trials.parquet"))
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


def check(root: str, ended: dict[str, float], reference: list[dict[str, object]]) -> None:
    """The table is that of a sweep that nobody killed, and no trial was run twice."""
    rows = table_of(root)
    for name in COMPARED:
        assert [row[name] for row in rows] == [row[name] for row in reference], name
    for name in ("val_accuracy", "val_log_loss"):
        expected = [row[name] for row in reference]
        assert [row[name] for row in rows] == pytest.approx(expected, abs=1e-6), name
    again = {row["trial_id"]: row["begun"] for row in read_rows(sweep_folder(root, "killed"))}
    assert {trial: again[trial] for trial in ended} == ended
    summary = storage.read_json(storage.join(sweep_folder(root, "killed"), "sweep.json"))
    assert summary["num_trials"] == {"ok": 4}
    assert summary["chosen"] == json.loads(str(reference[0]["chosen"]))
    assert artifacts_of_trials(root, "killed")


@pytest.fixture(scope="module")
def reference(
    tiny_words: list[str], own: str, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, object]]:
    """The rows of a sweep that nobody kills, the choice in the first of them."""
    root = str(tmp_path_factory.mktemp("whole"))
    finished([*tiny_words, f"root={root}"], own, {})
    summary = storage.read_json(storage.join(sweep_folder(root, "killed"), "sweep.json"))
    rows = table_of(root)
    rows[0]["chosen"] = json.dumps(summary["chosen"])
    return rows


def test_on_a_local_disk(
    tiny_words: list[str], own: str, tmp_path: Path, reference: list[dict[str, object]]
) -> None:
    words = [*tiny_words, f"root={tmp_path}"]
    ended = killed_after_a_trial(words, own, {}, str(tmp_path))
    output = finished(words, own, {})
    assert f"{len(ended)} done before" in " ".join(output.split())
    check(str(tmp_path), ended, reference)


def test_on_s3(
    tiny_words: list[str],
    own: str,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    reference: list[dict[str, object]],
) -> None:
    import boto3

    environment = s3_environment(s3_endpoint)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="sweeps")
    words = [*tiny_words, "root=s3://sweeps/root"]
    ended = killed_after_a_trial(words, own, environment, "s3://sweeps/root")
    finished(words, own, environment)
    check("s3://sweeps/root", ended, reference)
