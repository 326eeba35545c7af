import inspect

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ImageLimits
from gist_ray.finetune import checkpoint
from gist_ray.finetune.checkpoint import export_model, load_state, save_state
from gist_ray.finetune.loop import start_training, train_epoch
from gist_ray.finetune.pairs import PairDataset, PairLoader
from gist_ray.store import storage


def begin(clip_config, config, pairs):
    clip = load_clip(clip_config)
    training = start_training(clip.model, config, 1)
    dataset = PairDataset(
        pairs, clip.tokenizer, clip.preprocess, config, seed=5, limits=ImageLimits()
    )
    return training, PairLoader(dataset, config, seed=5)


@pytest.mark.parametrize("folder", ["local", "memory"])
def test_a_training_that_goes_on_ends_bit_for_bit_as_an_unbroken_one(
    tiny_config, recipe, pairs, tmp_path, folder
):
    config = recipe(num_steps=6, precision="amp_fp16", weight_decay=0.1)
    uri = f"{tmp_path}/run/state.pt" if folder == "local" else "memory://run/state.pt"
    unbroken, loader = begin(tiny_config, config, pairs)
    while unbroken.step < 6:
        train_epoch(unbroken, loader, config, 6)

    first, loader = begin(tiny_config, config, pairs)
    train_epoch(first, loader, config, 6)
    first.best_score, first.best_step = 0.5, 2
    first.best_weights = {name: value.clone() for name, value in first.model.state_dict().items()}
    first.history.append({"step": 2, "score": None})
    save_state(first, uri)

    # other draws in between must not matter
    torch.manual_seed(12345)
    second, loader = begin(tiny_config, config, pairs)
    assert load_state(second, uri)
    assert (second.step, second.epoch, second.best_score, second.best_step) == (2, 1, 0.5, 2)
    assert second.history == [{"step": 2, "score": None}]
    assert second.best_weights.keys() == first.best_weights.keys()
    while second.step < 6:
        train_epoch(second, loader, config, 6)
    wanted = unbroken.model.state_dict()
    assert all(torch.equal(wanted[n], v) for n, v in second.model.state_dict().items())


class Dropping(torch.nn.Module):
    """Dropout inside a tower draws from torch's generator."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.nn.functional.dropout(self.inner(x), 0.5, self.training)


def test_what_is_random_inside_the_model_goes_on_too(tiny_config, recipe, pairs, tmp_path):
    config = recipe(num_steps=4)

    def start():
        training, loader = begin(tiny_config, config, pairs)
        training.model.visual.ln_post = Dropping(training.model.visual.ln_post)
        return training, loader

    torch.manual_seed(1)
    unbroken, loader = start()
    train_epoch(unbroken, loader, config, 4)
    save_state(unbroken, f"{tmp_path}/state.pt")
    train_epoch(unbroken, loader, config, 4)
    torch.manual_seed(2)
    second, loader = start()
    load_state(second, f"{tmp_path}/state.pt")
    train_epoch(second, loader, config, 4)
    wanted = unbroken.model.state_dict()
    assert all(torch.equal(wanted[n], v) for n, v in second.model.state_dict().items())


def test_a_state_is_plain_values_and_absent_where_there_is_none(
    tiny_config, recipe, pairs, tmp_path
):
    training, _ = begin(tiny_config, recipe(), pairs)
    assert not load_state(training, f"{tmp_path}/none.pt")
    save_state(training, f"{tmp_path}/state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert {"model", "optimizer", "scaler", "epoch", "step", "best_weights", "history"} <= set(
        state
    )
    assert "weights_only=True" in inspect.getsource(checkpoint.load_state)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("half", [False, True])
def test_the_output_loads_in_plain_open_clip(tiny, tiny_config, pairs, tmp_path, half):
    with torch.no_grad():  # not the weights it began with
        for parameter in tiny.model.parameters():
            parameter.add_(0.01)
    folder = f"{tmp_path}/model"
    weights = tiny.model.state_dict()
    export_model(weights, tiny_config.model, tiny.preprocess, tiny.tokenizer, folder, half=half)

    name = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    texts = ["a red butterfly", "blue wings with an eyespot " * 5]
    assert torch.equal(tokenizer(texts), tiny.tokenizer(texts))
    picture = Image.open(pairs["uri"][0].as_py()).convert("RGB")
    pixels = preprocess(picture)[None]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (tiny.preprocess.mean, tiny.preprocess.std))
    shrunk = torch.from_numpy(np.asarray(picture.resize((32, 32), Image.Resampling.BICUBIC)).copy())
    assert torch.allclose(pixels[0], (shrunk.permute(2, 0, 1) / 255 - mean) / std, atol=1e-5)
    with torch.no_grad():
        found, _, scale = model.eval()(pixels, tokenizer(texts))
        wanted, _, wanted_scale = tiny.model(pixels, tiny.tokenizer(texts))
        found_texts = model.encode_text(tokenizer(texts), normalize=True)
        wanted_texts = tiny.model.encode_text(tokenizer(texts), normalize=True)
    tolerance = {"rtol": 0, "atol": 1e-2 if half else 0}
    torch.testing.assert_close(found, wanted, **tolerance)
    torch.testing.assert_close(found_texts, wanted_texts, **tolerance)
    torch.testing.assert_close(scale, wanted_scale, rtol=1e-2 if half else 0, atol=0)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_an_architecture_with_a_hugging_face_tokenizer_leaves_it_in_the_folder(
    tiny, tmp_path, monkeypatch
):
    """From a folder open_clip takes such a tokenizer out of the folder only."""
    name = "tiny-with-tokenizer"
    model_cfg = {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "patch_size": 16,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 715,
            "width": 32,
            "heads": 2,
            "layers": 2,
            "hf_tokenizer_name": "somebody/somewhere",
        },
    }
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, model_cfg)
    folder = f"{tmp_path}/model"
    export_model(tiny.model.state_dict(), name, tiny.preprocess, tiny.tokenizer, folder)
    texts = ["a red butterfly"]
    loaded = open_clip.get_tokenizer(f"local-dir:{folder}")
    assert torch.equal(loaded(texts), tiny.tokenizer(texts))
    open_clip.create_model_and_transforms(f"local-dir:{folder}")


def test_half_the_bytes_in_half_precision(tiny, tiny_config, tmp_path):
    sizes = []
    for half in (False, True):
        folder = f"{tmp_path}/{half}"
        export_model(
            tiny.model.state_dict(),
            tiny_config.model,
            tiny.preprocess,
            tiny.tokenizer,
            folder,
            half=half,
        )
        sizes.append(len(storage.read_bytes(f"{folder}/open_clip_model.safetensors")))
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)
