"""What a training leaves behind: its state, to go on from, and a model for plain open_clip."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import open_clip
import torch
from open_clip.factory import LOCAL_DIR_PREFIX
from open_clip.transform import PreprocessCfg
from safetensors.torch import save_file

from gist_ray import storage
from gist_ray.finetune.loop import Training

STATE_FILE = "state.pt"
MODEL_FOLDER = "model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def save_state(training: Training, uri: str) -> None:
    """Store the state of a training, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        torch.save(training.state(), path)
        storage.put_file(str(path), uri)


def load_state(training: Training, uri: str) -> bool:
    """Go on from a stored state; False where there is none."""
    if not storage.exists(uri):
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        fs, remote = storage.filesystem(uri)
        fs.get_file(remote, str(path))
        training.load(torch.load(path, map_location="cpu", weights_only=True))
    return True


def export_model(
    weights: dict[str, torch.Tensor],
    source_name: str,
    preprocess: PreprocessCfg,
    folder_uri: str,
    *,
    half: bool = False,
) -> None:
    """Write a folder that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads.

    source_name: open_clip's name of the model the training began with, for its architecture and
        tokenizer.
    half: store fp16, half the bytes; loading turns it back into fp32.
    """
    config = {
        "model_cfg": open_clip.get_model_config(source_name),
        "preprocess_cfg": asdict(preprocess),
    }
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in weights.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "open_clip_model.safetensors")
        save_file(tensors, path)
        storage.put_file(path, storage.join(folder_uri, "open_clip_model.safetensors"))
    if source_name.startswith(LOCAL_DIR_PREFIX):
        _copy_tokenizer(source_name.removeprefix(LOCAL_DIR_PREFIX), folder_uri)
    storage.write_text(
        storage.join(folder_uri, "open_clip_config.json"), json.dumps(config, indent=2) + "\n"
    )


def _copy_tokenizer(source_folder: str, folder_uri: str) -> None:
    for name in TOKENIZER_FILES:
        path = Path(source_folder) / name
        if path.exists():
            storage.write_bytes(storage.join(folder_uri, name), path.read_bytes())
