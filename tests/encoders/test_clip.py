import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from gist_ray.encoders import clip as clip_module
from gist_ray.encoders.clip import (
    check_clip,
    embed_images,
    embed_texts,
    embedded_folder,
    fingerprint_of_weights,
    load_clip,
    local_folder,
    to_pixels,
)
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.store import storage

TEXTS = ["a small blue butterfly with white spots", "black wings, two tails"]


@pytest.fixture
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*args: object, **kwargs: object) -> None:
        pytest.fail("nothing may be downloaded")

    monkeypatch.setattr("open_clip.factory.download_pretrained", download)


def test_the_uint8_path_gives_what_plain_open_clip_gives(shipped_clip, picture_uris):
    name = f"local-dir:{embedded_folder()}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    # sizes and shapes that the resize and the crop have to deal with
    pictures = [Image.open(uri).convert("RGB") for uri in picture_uris[:4]]
    pictures += [picture.resize((150, 90)) for picture in pictures[:2]]
    pictures += [picture.resize((40, 130)) for picture in pictures[:2]]
    with torch.no_grad():
        wanted = model.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)
        wanted_texts = model.encode_text(open_clip.get_tokenizer(name)(TEXTS), normalize=True)
    transform = to_pixels(shipped_clip.preprocess)
    pixels = np.stack([np.asarray(transform(picture)) for picture in pictures])
    assert pixels.dtype == np.uint8
    features = embed_images(shipped_clip, pixels)
    assert features.dtype == np.float32
    assert (features * wanted.numpy()).sum(axis=1).min() >= 0.99999
    texts = embed_texts(shipped_clip, TEXTS)
    assert (texts * wanted_texts.numpy()).sum(axis=1).min() >= 0.99999


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close_to_full(shipped_clip, picture_uris, precision):
    half = load_clip(ClipConfig(), precision=precision)
    pixels = np.stack([np.asarray(Image.open(uri)) for uri in picture_uris[:8]])
    similarity = (embed_images(half, pixels) * embed_images(shipped_clip, pixels)).sum(axis=1)
    assert similarity.min() > 0.995
    of_texts = (embed_texts(half, TEXTS) * embed_texts(shipped_clip, TEXTS)).sum(axis=1)
    assert of_texts.min() > 0.995


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_vision_transformer_of_open_clip_takes_half_precision(precision):
    # its positional embedding stays in fp32
    clip = load_clip(ClipConfig(model="ViT-S-32-alt"), precision=precision)
    features = embed_images(clip, np.zeros((1, 224, 224, 3), np.uint8))
    assert np.linalg.norm(features, axis=1) == pytest.approx([1], abs=1e-3)


def test_logit_scale_is_the_exponential(shipped_clip):
    assert shipped_clip.logit_scale == pytest.approx(
        float(np.exp(shipped_clip.model.logit_scale.item())), rel=1e-6
    )


@pytest.mark.parametrize(
    ("model", "pretrained", "right"),
    [
        ("ViT-B-32", "openai", "ViT-B-32-quickgelu"),
        ("RN50", "openai", "RN50-quickgelu"),
        ("ViT-B-32-quickgelu", "laion2b_s34b_b79k", "neither a tag"),
    ],
)
def test_weights_of_another_activation_are_refused(no_download, model, pretrained, right):
    with pytest.raises(UserError, match=right):
        load_clip(ClipConfig(model=model, pretrained=pretrained))


def test_every_pair_that_open_clip_lists_passes_or_names_its_twin(no_download):
    refused = []
    for model, tag in open_clip.list_pretrained():
        try:
            check_clip(ClipConfig(model=model, pretrained=tag))
        except UserError as error:
            refused.append((model, str(error)))
    for model, message in refused:
        assert f"Use clip.model={model}-quickgelu." in message
    # its tag's entry lacks the activation, and there is no twin to send anyone to
    assert "roberta-ViT-B-32" not in [model for model, _ in refused]


def test_unknown_names_are_refused_with_the_way_out(no_download, tmp_path):
    with pytest.raises(UserError, match=r"clip\.model=ViT-Q-7: not one of open_clip's"):
        load_clip(ClipConfig(model="ViT-Q-7"))
    with pytest.raises(UserError, match=r"pretrained=nobody: .*laion2b_s34b_b79k.*nor a file"):
        load_clip(ClipConfig(model="ViT-B-32", pretrained="nobody"))
    with pytest.raises(UserError, match=r"no open_clip_config\.json in "):
        load_clip(ClipConfig(model=f"local-dir:{tmp_path}"))


def test_a_weights_file_needs_its_mean_and_std(shipped_clip, tmp_path, monkeypatch):
    """The architecture is registered as open_clip's own are, to keep the file small."""
    monkeypatch.setitem(
        open_clip.factory._MODEL_CONFIGS,
        "tiny-test",
        open_clip.get_model_config(f"local-dir:{embedded_folder()}")
        | {
            "text_cfg": {
                "context_length": 32,
                "vocab_size": 8515,
                "width": 128,
                "layers": 3,
                "heads": 4,
            }
        },
    )
    path = tmp_path / "weights.pt"
    torch.save(shipped_clip.model.state_dict(), path)
    with pytest.raises(UserError, match=r"Set clip\.image_mean and clip\.image_std"):
        load_clip(ClipConfig(model="tiny-test", pretrained=str(path)))
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    config = ClipConfig(model="tiny-test", pretrained=str(path), image_mean=mean, image_std=std)
    clip = load_clip(config)
    assert (tuple(clip.preprocess.mean), tuple(clip.preprocess.std)) == (mean, std)
    pixels = np.full((1, 64, 64, 3), 128, np.uint8)
    assert not np.allclose(embed_images(clip, pixels), embed_images(shipped_clip, pixels))
    before = fingerprint_of_weights(config)
    path.write_bytes(path.read_bytes() + b" ")
    assert fingerprint_of_weights(config) != before


def test_a_folder_brings_weights_preprocessing_and_tokenizer(shipped_clip, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    config = ClipConfig(model=f"local-dir:{folder}")
    clip = load_clip(config)
    assert clip.preprocess == shipped_clip.preprocess
    assert np.array_equal(embed_texts(clip, TEXTS), embed_texts(shipped_clip, TEXTS))
    before = fingerprint_of_weights(config)
    (folder / "tokenizer.json.4d67.tmp").write_bytes(b"what another process copies here")
    assert fingerprint_of_weights(config) == before


def test_a_folder_without_weights_loads_only_when_random_ones_are_wanted(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    (folder / "open_clip_model.safetensors").unlink()
    config = ClipConfig(model=f"local-dir:{folder}")
    with pytest.raises(UserError, match="cannot load it"):
        load_clip(config)
    torch.manual_seed(1)
    first = embed_texts(load_clip(config, random_weights=True), TEXTS)
    torch.manual_seed(2)
    assert not np.allclose(first, embed_texts(load_clip(config, random_weights=True), TEXTS))


def test_damaged_weights_are_named(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(UserError, match=rf"clip\.model=local-dir:{folder}: open_clip cannot load"):
        load_clip(ClipConfig(model=f"local-dir:{folder}"))


def test_the_fingerprint_is_of_the_content(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    config = ClipConfig(model=f"local-dir:{folder}")
    before = fingerprint_of_weights(config)
    assert before == fingerprint_of_weights(ClipConfig())
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, folder / "open_clip_model.safetensors")
    assert fingerprint_of_weights(config) != before
    assert fingerprint_of_weights(ClipConfig(model="ViT-B-32", pretrained="laion2b_e16")) == ""


def test_a_remote_folder_is_copied_once_and_again_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("GIST_RAY_CACHE", str(tmp_path))
    remote = "memory://models/tuned"
    storage.write_text(f"{remote}/open_clip_config.json", "one")
    storage.write_text(f"{remote}/sub/tokenizer.json", "two")
    first = Path(local_folder(remote))
    assert (first / "open_clip_config.json").read_text() == "one"
    assert (first / "sub" / "tokenizer.json").read_text() == "two"
    assert local_folder(remote) == str(first)
    # a new training leaves files of the same names and sizes
    storage.write_text(f"{remote}/open_clip_config.json", "eno")
    assert (Path(local_folder(remote)) / "open_clip_config.json").read_text() == "eno"
    with pytest.raises(UserError, match="no model folder here"):
        local_folder("memory://models/nothing")


def test_the_embedded_model_is_found_in_the_package():
    assert Path(clip_module.embedded_folder(), "open_clip_config.json").is_file()
