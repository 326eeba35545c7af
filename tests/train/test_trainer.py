"""Trainings in a warm worker and on Ray Train; of a toy, whose code travels to the workers."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.run.warm import WorkersDiedError, warm_workers
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.train import trainer
from gist_ray.train.config import TrainConfig
from gist_ray.train.job import STOP_FILE, TrainingStoppedError, TrainJob
from gist_ray.train.trainer import fits_warm_worker, train
from tests.train import toy
from tests.train.toy import Toy, exported, toy_config

AtEpoch = dict[int, Callable[[], None]]

on_ray = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def warm(ray_local: None) -> Iterator[None]:
    """Warm workers that the tests share."""
    import sys

    from ray import cloudpickle

    for module in (toy, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)
    with warm_workers():
        yield


class Trainings:
    """Trains toys in folders of one root."""

    def __init__(self, root: Path) -> None:
        self.store = ArtifactStore(str(root))
        self.told: list[float] = []

    def folder(self, name: str) -> Path:
        return Path(self.store.writer("toys", name, {"name": name}, inputs={}).uri)

    def run(self, name: str, at_epoch: AtEpoch | None = None, **options: Any) -> list[Any]:
        """Returns the history; the epochs that progress was told of are added to `told`."""
        writer = self.store.writer("toys", name, {"name": name}, inputs={})
        config = toy_config(**options)
        job = TrainJob(writer.uri, partial(Toy, config, at_epoch=at_epoch), config, seed=3)
        progress = Progress(measured=lambda state: self.told.append(state.values["epoch"]))
        return train(job, writer, progress)


@pytest.fixture
def trainings(tmp_path: Path) -> Trainings:
    return Trainings(tmp_path)


@pytest.fixture(scope="module")
def unbroken(warm: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Any]:
    """The history and the weights of a training in a warm worker that nothing disturbs."""
    trainings = Trainings(tmp_path_factory.mktemp("unbroken"))
    history = trainings.run("unbroken")
    assert trainings.told == [1, 2, 3]
    return history, exported(trainings.folder("unbroken"))


def once(mark: Path, work: Callable[[], None]) -> Callable[[], None]:
    """Does the work when it is called first, in whichever process."""

    def work_once() -> None:
        if not mark.exists():
            mark.touch()
            work()

    return work_once


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise OSError("the store is away")


def check_left(trainings: Trainings, name: str, unbroken: tuple[list[Any], Any]) -> None:
    """The weights of the unbroken training, bit for bit, and nothing that only served to go on."""
    found, wanted = exported(trainings.folder(name)), unbroken[1]
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert {path.name for path in trainings.folder(name).iterdir()} == {"history.json", "model"}
    assert storage.read_json(f"{trainings.folder(name)}/history.json") == unbroken[0]


@pytest.mark.parametrize(
    ("options", "is_warm"),
    [
        ({}, True),
        ({"cpus_per_worker": 4}, True),
        ({"num_workers": 2}, False),
        ({"gpus_per_worker": 0.25}, False),
    ],
)
def test_one_worker_without_a_gpu_is_a_warm_one(options: dict[str, Any], is_warm: bool) -> None:
    assert fits_warm_worker(TrainConfig(num_steps=1, **options)) == is_warm


@on_ray
@pytest.mark.ray
class TestInAWarmWorker:
    def test_a_killed_training_goes_on_from_its_state(
        self, trainings: Trainings, unbroken: Any, tmp_path: Path
    ) -> None:
        history = trainings.run("killed", {1: once(tmp_path / "mark", die)})
        assert (tmp_path / "mark").exists()
        assert history == unbroken[0]
        check_left(trainings, "killed", unbroken)

    def test_after_an_error_it_goes_on_too(
        self, trainings: Trainings, unbroken: Any, tmp_path: Path
    ) -> None:
        trainings.run("failed", {1: once(tmp_path / "mark", fail)}, max_failures=1)
        assert (tmp_path / "mark").exists()
        check_left(trainings, "failed", unbroken)

    @pytest.mark.parametrize(
        ("work", "raised", "max_failures"),
        [(die, WorkersDiedError, 1), (fail, OSError, 1), (fail, OSError, 0)],
    )
    def test_it_is_given_up_after_so_many_failures(
        self,
        trainings: Trainings,
        tmp_path: Path,
        work: Callable[[], None],
        raised: type[Exception],
        max_failures: int,
    ) -> None:
        def log_and_fail() -> None:
            with (tmp_path / "log").open("a") as log:
                log.write("again\n")
            work()

        with pytest.raises(raised):
            trainings.run("broken", {1: log_and_fail}, max_failures=max_failures)
        assert len((tmp_path / "log").read_text().splitlines()) == max_failures + 1
        # what was reached is kept
        assert (trainings.folder("broken") / "state.pt").exists()

    def test_what_its_owner_has_to_mend_is_not_tried_again(
        self, trainings: Trainings, unbroken: Any, tmp_path: Path
    ) -> None:
        def refuse() -> None:
            raise UserError(["one.", "two."])

        # at a second attempt it would not be refused
        with pytest.raises(UserError) as caught:
            trainings.run("refused", {1: once(tmp_path / "mark", refuse)})
        assert caught.value.problems == ["one.", "two."]
        trainings.run("refused")
        check_left(trainings, "refused", unbroken)

    def test_it_stops_when_told_and_goes_on_later(
        self, trainings: Trainings, unbroken: Any
    ) -> None:
        stop_file = f"{trainings.folder('stopped')}/{STOP_FILE}"

        def stop() -> None:
            storage.write_text(stop_file, "")

        with pytest.raises(TrainingStoppedError):
            trainings.run("stopped", {1: stop})
        assert trainings.told == [1, 2]
        assert trainings.run("stopped") == unbroken[0]
        assert trainings.told == [1, 2, 3]
        check_left(trainings, "stopped", unbroken)

    def test_the_worker_is_released_whatever_comes_of_a_training(
        self, trainings: Trainings, tmp_path: Path
    ) -> None:
        def note() -> None:
            with (tmp_path / "pids").open("a") as pids:
                pids.write(f"{os.getpid()}\n")

        def note_and_refuse() -> None:
            note()
            raise UserError("no")

        trainings.run("first", {0: note})
        with pytest.raises(UserError):
            trainings.run("second", {0: note_and_refuse})
        trainings.run("third", {0: note})
        first, *others = (tmp_path / "pids").read_text().split()
        assert others == [first, first]
        assert int(first) != os.getpid()


@on_ray
@pytest.mark.ray
@pytest.mark.slow
class TestOnRayTrain:
    """One worker, so that the same bytes can be expected."""

    @pytest.fixture(autouse=True)
    def distributed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trainer, "fits_warm_worker", lambda config: False)

    def test_a_killed_training_ends_as_one_in_a_warm_worker(
        self, trainings: Trainings, unbroken: Any, tmp_path: Path
    ) -> None:
        history = trainings.run("killed", {1: once(tmp_path / "mark", die)})
        assert (tmp_path / "mark").exists()
        assert history == unbroken[0]
        assert trainings.told == [1, 2, 3]
        check_left(trainings, "killed", unbroken)

    @pytest.mark.long
    def test_it_stops_when_told(self, trainings: Trainings) -> None:
        stop_file = f"{trainings.folder('stopped')}/{STOP_FILE}"

        def stop() -> None:
            storage.write_text(stop_file, "")

        with pytest.raises(TrainingStoppedError):
            trainings.run("stopped", {1: stop})
        history = storage.read_json(f"{trainings.folder('stopped')}/history.json")
        assert [entry["epoch"] for entry in history] == [1, 2]

    @pytest.mark.long
    def test_what_its_owner_has_to_mend_is_not_tried_again(
        self, trainings: Trainings, tmp_path: Path
    ) -> None:
        def refuse() -> None:
            raise UserError(["one.", "two."])

        with pytest.raises(UserError) as caught:
            trainings.run("refused", {1: once(tmp_path / "mark", refuse)})
        assert caught.value.problems == ["one.", "two."]
