"""The worker's loop, in this process and without Ray."""

from types import SimpleNamespace

import ray.train
import ray.train.torch
import torch

from gist_ray.encoders.config import ImageLimits
from gist_ray.finetune import worker
from gist_ray.finetune.job import PAIRS_FILE, VAL_FILE, Job
from gist_ray.store import storage


def test_every_validation_embeds_the_same_bounded_sample(
    tiny_config, pairs, recipe, tmp_path, monkeypatch
):
    context = SimpleNamespace(get_world_rank=lambda: 0, get_world_size=lambda: 1)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(ray.train, "report", lambda metrics: None)
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: torch.device("cpu"))
    judged = []

    def score(clip, train, val, *, limits):
        judged.append((train["uri"].to_pylist(), val["uri"].to_pylist()))
        return 0.0

    monkeypatch.setattr(worker, "probe_score", score)
    config = recipe(select_by="probe", validate_every_steps=2, num_validation_images=6)
    storage.write_parquet(f"{tmp_path}/{PAIRS_FILE}", pairs.slice(0, 12))
    storage.write_parquet(f"{tmp_path}/{VAL_FILE}", pairs.slice(12))
    worker.train_worker(
        Job(str(tmp_path), tiny_config, config, 3, ImageLimits(), random_weights=False, half=False)
    )
    assert len(judged) == 2
    assert judged[0] == judged[1]
    train, val = judged[0]
    assert len(train) == 6
    assert set(train) < set(pairs.slice(0, 12)["uri"].to_pylist())
    assert val == pairs.slice(12)["uri"].to_pylist()
