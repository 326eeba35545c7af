import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ClipConfig, ImageLimits
from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.trainer import train_clip
from gist_ray.finetune.weights import interpolate
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore, ArtifactWriter

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SEED = 3

Weights = dict[str, torch.Tensor]


class Trainings:
    """Runs trainings into folders of one root."""

    def __init__(self, root: Path, pairs: pa.Table, clip: ClipConfig) -> None:
        self.store, self.pairs, self.clip = ArtifactStore(str(root)), pairs, clip

    def writer(self, name: str) -> ArtifactWriter:
        return self.store.writer("tuned", name, {"name": name}, inputs={})

    def run(self, name: str, config: FinetuneConfig) -> Weights:
        """-> the weights that it leaves; the history is kept in `self.history`."""
        writer = self.writer(name)
        train, val = self.pairs.slice(0, 12), self.pairs.slice(12)
        self.history = train_clip(
            train,
            val,
            clip=self.clip,
            config=config,
            seed=SEED,
            writer=writer,
            progress=Progress(),
            limits=ImageLimits(),
        )
        return load_file(writer.file("model") + "/open_clip_model.safetensors")


@pytest.fixture(scope="module")
def trainings(
    ray_local: None,
    tmp_path_factory: pytest.TempPathFactory,
    pairs: pa.Table,
    tiny_config: ClipConfig,
) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("trainings"), pairs, tiny_config)


@pytest.fixture(scope="module")
def unbroken(trainings: Trainings) -> tuple[FinetuneConfig, Weights, list[Any]]:
    """A training on one worker: its config, weights and history.

    Epochs (of one step) are shorter than the steps between validations, so that workers that
    counted these differently would wait for each other for ever.
    """
    config = FinetuneConfig(
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
    weights = trainings.run("unbroken", config)
    return config, weights, trainings.history


def assert_same(first: Weights, second: Weights) -> None:
    assert first.keys() == second.keys()
    assert [n for n in first if not torch.equal(first[n], second[n])] == []


def test_two_workers_end_where_one_does_and_validate_in_step(trainings, unbroken):
    config, weights, history = unbroken
    assert [entry["step"] for entry in history] == [4, 8, 12]
    two = trainings.run("two", replace(config, num_workers=2))
    for entry, wanted in zip(trainings.history, history, strict=True):
        assert entry["step"] == wanted["step"]
        assert entry["score"] == pytest.approx(wanted["score"], rel=1e-2)
    for name, value in weights.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_a_killed_training_ends_as_an_unbroken_one(trainings, unbroken):
    config, weights, history = unbroken
    folder = trainings.writer("killed").uri
    killed: list[int] = []

    def kill_once_a_state_is_stored() -> None:
        while not done.wait(0.01):
            if storage.exists(f"{folder}/state.pt"):
                killed.extend(workers_of(os.getpid()))
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
                return

    done = threading.Event()
    killer = threading.Thread(target=kill_once_a_state_is_stored)
    killer.start()
    try:
        after = trainings.run("killed", config)
    finally:
        done.set()
        killer.join()
    assert killed
    assert_same(after, weights)
    assert trainings.history == history
    # what only served to go on is gone
    assert not storage.exists(f"{folder}/state.pt")
    assert not storage.exists(f"{folder}/ray_train")
    assert storage.read_json(f"{folder}/history.json") == history


def workers_of(root_pid: int) -> list[int]:
    """Processes of Ray Train workers below this one (the Ray of this test session)."""
    import psutil

    below = psutil.Process(root_pid).children(recursive=True)
    return [p.pid for p in below if "RayTrainWorker" in " ".join(p.cmdline())]


def test_two_trainings_at_once_and_what_they_leave(trainings, recipe, tiny_config):
    """Every option that ends in another model: WiSE-FT, the best epoch, the last one."""
    last = recipe(num_steps=3)
    with ThreadPoolExecutor(2) as threads:
        tuned, mixed = threads.map(
            lambda name, config: trainings.run(name, config),
            ("tuned", "mixed"),
            (last, recipe(num_steps=3, wise_ft=0.25)),
        )
    before = load_clip(tiny_config).model.state_dict()
    assert any(not torch.equal(tuned[name], before[name]) for name in before)
    assert_same(mixed, interpolate(tuned, before, 0.25))

    name = f"local-dir:{trainings.writer('tuned').file('model')}"
    model, _, _ = open_clip.create_model_and_transforms(name)
    assert_same(dict(model.state_dict()), tuned)
    open_clip.get_tokenizer(name)(["a red butterfly"])


def test_what_a_worker_finds_wrong_is_said_as_it_is_and_not_tried_again(
    trainings, recipe, pairs, monkeypatch
):
    at = pairs.schema.get_field_index("uri")
    broken = pairs.set_column(at, "uri", [["/none/a.png"] * 16])
    monkeypatch.setattr(trainings, "pairs", broken)
    before = num_workers_ever()
    with pytest.raises(UserError, match=r"^/none/a\.png: a training image cannot be read"):
        trainings.run("broken", recipe(max_failures=3))
    assert num_workers_ever() == before + 1


def num_workers_ever() -> int:
    """Ray Train workers that this Ray has started, dead ones too."""
    from ray._private.state import actors

    return sum(actor["ActorClassName"].startswith("RayTrainWorker") for actor in actors().values())
