"""Whole fine-tunings, in a warm worker and on Ray Train."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import open_clip
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.finetune import trainer
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.job import FinetuneJob
from gist_ray.finetune.trainer import train_clip
from gist_ray.finetune.weights import interpolate
from gist_ray.images.limits import ImageLimits
from gist_ray.run.progress import Progress
from gist_ray.run.warm import warm_workers
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore, ArtifactWriter
from gist_ray.train import trainer as any_trainer

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEED = 3

Weights = dict[str, torch.Tensor]
Left = tuple[Weights, list[Any]]
"""The weights and the history that a training leaves."""

# Epochs (of one step) are shorter than the steps between validations, so that workers that counted
# these differently would wait for each other for ever.
CONFIG = FinetuneConfig(
    num_steps=12,
    batch_size=12,
    warmup_steps=1,
    learning_rate=1e-3,
    # large enough for the order of a sum not to decide which way a weight goes
    eps=1e-2,
    validate_every_steps=4,
    select_by="probe",
    wise_ft=0.5,
)


class Trainings:
    """Runs trainings into folders of one root."""

    def __init__(self, root: Path, pairs: pa.Table, clip: ClipConfig) -> None:
        self.store, self.pairs, self.clip = ArtifactStore(str(root)), pairs, clip

    def writer(self, name: str) -> ArtifactWriter:
        return self.store.writer("tuned", name, {"name": name}, inputs={})

    def run(self, name: str, config: FinetuneConfig) -> Left:
        writer = self.writer(name)
        train, val = self.pairs.slice(0, 12), self.pairs.slice(12)
        history = train_clip(
            train,
            val,
            clip=self.clip,
            config=config,
            seed=SEED,
            writer=writer,
            progress=Progress(),
            limits=ImageLimits(),
        )
        return load_file(writer.file("model") + "/open_clip_model.safetensors"), history


@pytest.fixture(scope="module")
def trainings(
    ray_local: None,
    tmp_path_factory: pytest.TempPathFactory,
    pairs: pa.Table,
    tiny_config: ClipConfig,
) -> Iterator[Trainings]:
    from ray import cloudpickle

    # workers cannot import the code of this file, which travels to them
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with warm_workers():
        yield Trainings(tmp_path_factory.mktemp("trainings"), pairs, tiny_config)


@pytest.fixture(scope="module")
def unbroken(trainings: Trainings) -> Callable[[int], Left]:
    """Call with a number of workers, which train once: one is a warm one, two are on Ray Train."""
    return cache(
        lambda number: trainings.run(f"unbroken {number}", replace(CONFIG, num_workers=number))
    )


def assert_same(first: Weights, second: Weights) -> None:
    assert first.keys() == second.keys()
    assert [n for n in first if not torch.equal(first[n], second[n])] == []


@pytest.mark.long
def test_two_workers_end_where_one_does_and_validate_in_step(unbroken):
    (one, history), (two, history_of_two) = unbroken(1), unbroken(2)
    assert [entry["step"] for entry in history] == [4, 8, 12]
    for entry, wanted in zip(history_of_two, history, strict=True):
        assert entry["step"] == wanted["step"]
        assert entry["score"] == pytest.approx(wanted["score"], rel=1e-2)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.long
def test_on_ray_train_one_worker_ends_as_a_warm_one(trainings, unbroken, monkeypatch):
    monkeypatch.setattr(any_trainer, "fits_warm_worker", lambda config: False)
    weights, history = trainings.run("on Ray Train", CONFIG)
    assert_same(weights, unbroken(1)[0])
    assert history == unbroken(1)[1]


@dataclass(frozen=True)
class DyingJob(FinetuneJob):
    """Its first worker notes each epoch as it begins, and kills itself in the sixth, once."""

    log: str

    def make_task(self) -> Any:
        task: Any = FinetuneJob.make_task(self)
        batches = task.batches

        def dying(epoch: int, rank: int, world_size: int) -> Iterator[Any]:
            if rank == 0:
                with open(self.log, "a") as log:
                    log.write(f"{epoch}\n")
                if Path(self.log).read_text().splitlines() == [*"012345"]:
                    os.kill(os.getpid(), signal.SIGKILL)
            yield from batches(epoch, rank, world_size)

        task.batches = dying
        return task


@pytest.mark.parametrize("num_workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_killed_training_goes_on_from_its_state_and_ends_as_an_unbroken_one(
    trainings, unbroken, num_workers, tmp_path, monkeypatch
):
    log = tmp_path / "log"
    monkeypatch.setattr(trainer, "FinetuneJob", partial(DyingJob, log=str(log)))
    name = f"killed {num_workers}"
    weights, history = trainings.run(name, replace(CONFIG, num_workers=num_workers))
    assert [int(epoch) for epoch in log.read_text().split()] == [*range(6), *range(4, 12)]
    wanted, wanted_history = unbroken(num_workers)
    assert_same(weights, wanted)
    assert history == wanted_history
    # what only served to go on is gone
    folder = trainings.writer(name).uri
    assert not storage.exists(f"{folder}/state.pt")
    assert not storage.exists(f"{folder}/ray_train")
    assert storage.read_json(f"{folder}/history.json") == history


def test_two_trainings_at_once_and_what_they_leave(trainings, recipe, tiny_config):
    """Every option that ends in another model: WiSE-FT, the best epoch, the last one."""
    last = recipe(num_steps=3)
    with ThreadPoolExecutor(2) as threads:
        (tuned, _), (mixed, _) = threads.map(
            trainings.run, ("tuned", "mixed"), (last, recipe(num_steps=3, wise_ft=0.25))
        )
    before = load_clip(tiny_config).model.state_dict()
    assert any(not torch.equal(tuned[name], before[name]) for name in before)
    assert_same(mixed, interpolate(tuned, before, 0.25))

    name = f"local-dir:{trainings.writer('tuned').file('model')}"
    model, _, _ = open_clip.create_model_and_transforms(name)
    assert_same(dict(model.state_dict()), tuned)
    open_clip.get_tokenizer(name)(["a red butterfly"])


def test_what_a_worker_finds_wrong_is_said_as_it_is(trainings, recipe, pairs, monkeypatch):
    at = pairs.schema.get_field_index("uri")
    broken = pairs.set_column(at, "uri", [["/none/a.png"] * 16])
    monkeypatch.setattr(trainings, "pairs", broken)
    with pytest.raises(UserError, match=r"^/none/a\.png: a training image cannot be read"):
        trainings.run("broken", recipe())
