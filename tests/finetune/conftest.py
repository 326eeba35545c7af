"""A CLIP of two thin layers per tower, and a few pictures to train it on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.encoders.clip import Clip, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.tokenizer import save_tokenizer
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.export import export_model
from gist_ray.finetune.job import PAIRS_FILE, VAL_FILE, FinetuneJob
from gist_ray.images.limits import ImageLimits
from gist_ray.store import storage

VIT = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}

MakeTiny = Callable[[dict[str, Any]], ClipConfig]


@pytest.fixture(scope="session")
def make_tiny(tmp_path_factory: pytest.TempPathFactory) -> MakeTiny:
    def make(vision_cfg: dict[str, Any]) -> ClipConfig:
        folder: Path = tmp_path_factory.mktemp("tiny")
        text_cfg = {
            "context_length": 16,
            "vocab_size": save_tokenizer(folder, 200),
            "width": 32,
            "heads": 2,
            "layers": 2,
            "hf_tokenizer_name": "tokenizer.json",
        }
        model_cfg = {"embed_dim": 16, "vision_cfg": vision_cfg, "text_cfg": text_cfg}
        preprocess_cfg = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
        content = {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg}
        (folder / "open_clip_config.json").write_text(json.dumps(content))
        config = ClipConfig(model=f"local-dir:{folder}")
        torch.manual_seed(0)
        export_model(load_clip(config, random_weights=True), config.model, str(folder))
        return config

    return make


@pytest.fixture(scope="session")
def tiny_config(make_tiny: MakeTiny) -> ClipConfig:
    return make_tiny(VIT)


@pytest.fixture(scope="session")
def tiny_resnet_config(make_tiny: MakeTiny) -> ClipConfig:
    return make_tiny(RESNET)


@pytest.fixture
def tiny(tiny_config: ClipConfig) -> Clip:
    return load_clip(tiny_config)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """16 pictures of 4 classes, three captions each."""
    folder = str(tmp_path_factory.mktemp("pairs"))
    rows = corpus_rows(16, seed=7)
    write_pictures(rows, folder)
    table = corpus_pairs(rows, folder)
    labels = pa.array([index % 4 for index in range(16)], pa.int32())
    return table.set_column(table.schema.get_field_index("label"), "label", labels)


@pytest.fixture
def recipe() -> Callable[..., FinetuneConfig]:
    """A short training; options override it."""

    def make(**options: Any) -> FinetuneConfig:
        values = {
            "num_steps": 4,
            "batch_size": 8,
            "learning_rate": 1e-3,
            "warmup_steps": 1,
            "select_by": "last",
        }
        return FinetuneConfig(**(values | options))

    return make


MakeJob = Callable[[ClipConfig, FinetuneConfig], FinetuneJob]


@pytest.fixture
def make_job(pairs: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> MakeJob:
    """Makes the job of a model and a config: 12 pairs to train on, 4 of val."""

    def make(clip: ClipConfig, config: FinetuneConfig) -> FinetuneJob:
        folder = str(tmp_path_factory.mktemp("job"))
        storage.write_parquet(f"{folder}/{PAIRS_FILE}", pairs.slice(0, 12))
        storage.write_parquet(f"{folder}/{VAL_FILE}", pairs.slice(12))
        return FinetuneJob(
            folder=folder,
            clip=clip,
            config=config,
            seed=3,
            limits=ImageLimits(),
            random_weights=False,
            half=False,
        )

    return make
