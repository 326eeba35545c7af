"""Checkpoints as other programs save them: the same model where that is safe, else a short word."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gist_ray.encoders.clip import (
    Clip,
    check_weights_of,
    embed_texts,
    embedded_folder,
    load_clip,
)
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError

Weights = dict[str, torch.Tensor]
TEXTS = ["a small blue butterfly", "black wings"]


def renamed(weights: Weights, change: Callable[[str], str]) -> Weights:
    return {change(key): tensor for key, tensor in weights.items()}


def compiled_tower(key: str) -> str:
    return key.replace("visual.", "visual._orig_mod.")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder without weights."""
    monkeypatch.setenv("GIST_RAY_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model"
    shutil.copytree(embedded_folder(), model)
    (model / "open_clip_model.safetensors").unlink()
    return model


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_file(f"{embedded_folder()}/open_clip_model.safetensors")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: renamed(w, lambda key: f"_orig_mod.{key}"),
        lambda w: renamed(w, lambda key: f"module._orig_mod.{key}"),
        lambda w: renamed(w, compiled_tower),
        lambda w: {"epoch": 3, "model": w, "optimizer": {"step": 1}},
        lambda w: {"model_state_dict": renamed(w, lambda key: f"module.{key}")},
        lambda w: {"state_dict": renamed(w, lambda key: f"model.{key}"), "hyper_parameters": {}},
        lambda w: {"state_dict": renamed(w, lambda key: f"net.model.{key}")},
    ],
)
def test_prefixes_and_wrappers_are_taken_off(
    wrap: Callable[[Weights], Any], folder: Path, weights: Weights, shipped_clip: Clip
) -> None:
    torch.save(wrap(weights), folder / "open_clip_pytorch_model.bin")
    config = ClipConfig(model=f"local-dir:{folder}")
    check_weights_of(config)
    found = embed_texts(load_clip(config), TEXTS)
    assert np.array_equal(found, embed_texts(shipped_clip, TEXTS))


def hugging_face(weights: Weights) -> Weights:
    names = ["text_model.embeddings.token_embedding.weight", "vision_model.post_layernorm.bias"]
    names += [f"text_model.encoder.layers.{n}.layer_norm1.weight" for n in range(400)]
    return {name: torch.zeros(2) for name in names}


def one_is_larger(weights: Weights) -> Weights:
    return {**weights, "visual.extra": torch.zeros(3), "text_projection": torch.zeros(5, 5)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (hugging_face, "are none of the model's.*Its names are those of Hugging Face's CLIPModel"),
        (
            lambda w: {f"base_model.model.{k}.{part}.weight": torch.zeros(2) for k in w
                       for part in ("lora_A", "lora_B")},
            "LoRA weights of peft",
        ),
        (
            lambda w: {"patch_embed.proj.weight": torch.zeros(2), "blocks.0.norm1.bias":
                       torch.zeros(2)},
            "timm's vision transformer, an image tower alone",
        ),
        (lambda w: {"weights": torch.zeros(2)}, r"1 of the file's 1 are none of .*\(weights\)"),
        (one_is_larger, r"1 of the file's .* \(visual\.extra\)"),
    ],
)  # fmt: skip
def test_another_models_weights_are_refused_before_any_work_in_few_words(
    change: Callable[[Weights], Weights], says: str, folder: Path, weights: Weights
) -> None:
    save_file(change(weights), folder / "open_clip_model.safetensors")
    config = ClipConfig(model=f"local-dir:{folder}")
    for load in (check_weights_of, load_clip):
        with pytest.raises(
            UserError, match=rf"clip\.model=local-dir:.*cannot load it: .*{says}"
        ) as e:
            load(config)
        assert len(str(e.value)) < 1000


def test_another_size_of_the_architecture_is_named_with_its_shapes(
    folder: Path, weights: Weights
) -> None:
    key = next(key for key in weights if key.startswith("visual.") and weights[key].ndim == 4)
    save_file({**weights, key: weights[key][:1].clone()}, folder / "open_clip_model.safetensors")
    with pytest.raises(UserError, match=rf"1 have another shape \({key} \(1, "):
        check_weights_of(ClipConfig(model=f"local-dir:{folder}"))


class Surprise:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/must-not-be-there"),))


def test_a_file_that_would_run_something_is_not_opened(folder: Path, weights: Weights) -> None:
    torch.save({"model": weights, "args": Surprise()}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be read as weights alone") as raised:
        check_weights_of(ClipConfig(model=f"local-dir:{folder}"))
    assert len(str(raised.value)) < 1000
    assert not Path("/tmp/must-not-be-there").exists()
