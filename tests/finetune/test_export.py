import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from gist_ray.finetune.export import export_model
from gist_ray.store import storage


@pytest.mark.parametrize("half", [False, True])
def test_the_output_loads_in_plain_open_clip(tiny, tiny_config, pairs, tmp_path, half):
    with torch.no_grad():  # not the weights it began with
        for parameter in tiny.model.parameters():
            parameter.add_(0.01)
    folder = f"{tmp_path}/model"
    export_model(tiny, tiny_config.model, folder, half=half)

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
    export_model(tiny, name, folder)
    texts = ["a red butterfly"]
    loaded = open_clip.get_tokenizer(f"local-dir:{folder}")
    assert torch.equal(loaded(texts), tiny.tokenizer(texts))
    open_clip.create_model_and_transforms(f"local-dir:{folder}")


def test_half_the_bytes_in_half_precision(tiny, tiny_config, tmp_path):
    sizes = []
    for half in (False, True):
        folder = f"{tmp_path}/{half}"
        export_model(tiny, tiny_config.model, folder, half=half)
        sizes.append(len(storage.read_bytes(f"{folder}/open_clip_model.safetensors")))
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)
