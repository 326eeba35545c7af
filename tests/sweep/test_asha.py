"""ASHA's word reaches the training through the store."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gist_ray.sweep.config import SweepConfig
from gist_ray.sweep.trials import Task
from gist_ray.sweep.tuner import _Asha
from gist_ray.train.job import STOP_FILE

SPACE = {"finetune.learning_rate": [0.1, 0.2]}


class FakeTrials:
    """Trainings that report a val score at every epoch."""

    def __init__(self, root: Path) -> None:
        sweep = SweepConfig(space=SPACE, scheduler="asha", grace_epochs=2, reduction_factor=2)
        self.asha = _Asha(Task({"name": "n", "root": str(root)}, {}, sweep))
        self.root = root

    def add(self, trial_id: str) -> SimpleNamespace:
        trial = SimpleNamespace(trial_id=trial_id)
        self.asha.on_trial_add(None, trial)
        return trial

    def report(self, trial: SimpleNamespace, epoch: int, score: float | None) -> bool:
        """Whether the training has been told to stop."""
        folder = self.root / trial.trial_id
        result = {"epoch": epoch, "folder": str(folder)}
        if score is not None:
            result["val_score"] = score
        assert self.asha.on_trial_result(None, trial, result) == "CONTINUE"
        return (folder / STOP_FILE).exists()


@pytest.fixture
def trials(tmp_path: Path) -> FakeTrials:
    return FakeTrials(tmp_path)


def test_who_lags_behind_at_a_rung_is_told_to_stop(trials: FakeTrials) -> None:
    good, bad = trials.add("good"), trials.add("bad")
    for epoch in range(1, 9):
        assert not trials.report(good, epoch, score=0.1 * epoch)
    assert not trials.report(bad, 1, score=-9.0)  # in its grace
    assert trials.report(bad, 2, score=-9.0)


def test_who_is_ahead_goes_on(trials: FakeTrials) -> None:
    first, better = trials.add("first"), trials.add("better")
    assert not trials.report(first, 2, score=0.1)
    assert not trials.report(better, 2, score=0.2)
    assert not trials.report(first, 4, score=0.3)
    assert trials.report(better, 4, score=0.2)


def test_one_that_was_told_is_asked_no_more(trials: FakeTrials) -> None:
    good, bad, later = trials.add("good"), trials.add("bad"), trials.add("later")
    trials.report(good, 2, score=0.5)
    assert trials.report(bad, 2, score=0.4)
    trials.report(bad, 4, score=9.0)  # until it has noticed; it counts no more
    trials.report(good, 4, score=0.5)
    assert not trials.report(later, 2, score=0.6)
    assert not trials.report(later, 4, score=0.6)


def test_what_is_no_epoch_says_nothing(trials: FakeTrials) -> None:
    assert not trials.report(trials.add("done"), 2, score=None)
