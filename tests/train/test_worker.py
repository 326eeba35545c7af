"""A worker's course, in this process and without Ray."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from gist_ray.store import storage
from gist_ray.train.job import STATE_FILE, STOP_FILE, TrainingStoppedError, TrainJob
from gist_ray.train.loop import Worker
from gist_ray.train.worker import train_worker
from tests.train.toy import Toy, exported, toy_config


def job_in(folder: Path, **options: Any) -> TrainJob:
    config = toy_config()
    return TrainJob(str(folder), partial(Toy, config, **options), config, seed=3)


def history_in(folder: Path) -> list[dict[str, Any]]:
    return storage.read_json(f"{folder}/history.json")


def test_it_validates_in_step_and_leaves_a_history(tmp_path: Path) -> None:
    told: list[Any] = []
    train_worker(job_in(tmp_path), Worker(), told.append)
    history = history_in(tmp_path)
    assert told == history
    assert [entry["step"] for entry in history] == [2, 4, 6]
    assert set(history[0]) == {"step", "num_steps", "epoch", "loss", "twice", "score", "bias"}
    assert history[0]["twice"] == pytest.approx(2 * history[0]["loss"])
    assert history[-1]["bias"] == pytest.approx(float(exported(tmp_path)["1.bias"]))


def test_the_best_weights_are_exported_of_equals_the_last(tmp_path: Path) -> None:
    train_worker(job_in(tmp_path, scores=(0.5, 0.5, 0.1)), Worker())
    second = history_in(tmp_path)[1]["bias"]
    assert float(exported(tmp_path)["1.bias"]) == pytest.approx(second)


def test_another_worker_validates_nothing_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process group is left out."""
    monkeypatch.setattr(torch.nn.parallel, "DistributedDataParallel", lambda model, **_: model)
    told: list[Any] = []
    train_worker(job_in(tmp_path), Worker(rank=1, world_size=2), told.append)
    assert told == [{}, {}, {}]
    assert list(tmp_path.iterdir()) == []


def test_it_stops_when_told_after_a_validation_and_goes_on_from_there(tmp_path: Path) -> None:
    train_worker(job_in(tmp_path / "whole"), Worker())
    job = job_in(tmp_path / "stopped")
    storage.write_text(job.file(STOP_FILE), "")
    with pytest.raises(TrainingStoppedError):
        train_worker(job, Worker())
    assert [entry["step"] for entry in history_in(tmp_path / "stopped")] == [2]
    assert storage.exists(job.file(STATE_FILE))
    storage.delete(job.file(STOP_FILE))
    train_worker(job, Worker())
    assert history_in(tmp_path / "stopped") == history_in(tmp_path / "whole")
    whole, stopped = exported(tmp_path / "whole"), exported(tmp_path / "stopped")
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
