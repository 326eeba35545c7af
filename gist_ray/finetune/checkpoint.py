"""What a training leaves behind: its state, to go on from, and a model for plain open_clip."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import LOCAL_DIR_PREFIX
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg
from safetensors.torch import save_file

from gist_ray.errors import UserError
from gist_ray.finetune.job import STATE_FILE
from gist_ray.finetune.loop import Training
from gist_ray.store import storage

CONFIG_FILE = "open_clip_config.json"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


def save_state(training: Training, uri: str) -> None:
    """Store the state of a training, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        torch.save({**training.state(), "stored_in": _folder_name(uri)}, path)
        storage.put_file(str(path), uri)


def load_state(training: Training, uri: str) -> bool:
    """Go on from a stored state; False where there is none.

    Raises UserError for a file that is no state, or that of another training: a folder is called by
    the fingerprint of its model and recipe. Nothing in it is executed.
    """
    if not storage.exists(uri):
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        storage.get_file(uri, str(path))
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["stored_in"] != _folder_name(uri):
                raise ValueError(f"it is of the training {state['stored_in']}")
            training.load(state)
        # a file that is cut, no state at all, or of other weights raises nearly anything
        except Exception as error:
            raise UserError(
                f"{uri}: is not a state of this training ({type(error).__name__}: "
                f"{_on_one_line(error)}). Delete it to train from the beginning."
            ) from error
    return True


def _folder_name(uri: str) -> str:
    return uri.rsplit("/", 2)[-2]


def _on_one_line(error: Exception, limit: int = 300) -> str:
    return " ".join(str(error).split())[:limit]


def export_model(
    weights: dict[str, torch.Tensor],
    source_name: str,
    preprocess: PreprocessCfg,
    tokenizer: Any,
    folder_uri: str,
    *,
    half: bool = False,
) -> None:
    """Write a folder that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads.

    source_name: open_clip's name of the model the training began with, for its architecture.
    tokenizer: what open_clip's get_tokenizer gave for it.
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
        for file in _tokenizer_files(source_name, tokenizer, Path(folder) / "tokenizer"):
            storage.put_file(str(file), storage.join(folder_uri, file.name))
    storage.write_text(storage.join(folder_uri, CONFIG_FILE), json.dumps(config, indent=2) + "\n")


def _tokenizer_files(source_name: str, tokenizer: Any, folder: Path) -> Iterable[Path]:
    """The files that make the tokenizer again. From a folder, open_clip takes a Hugging Face
    tokenizer out of that folder only, whatever the config names."""
    if source_name.startswith(LOCAL_DIR_PREFIX):
        source = Path(source_name.removeprefix(LOCAL_DIR_PREFIX))
        others = (file for file in source.iterdir() if file.is_file() and file.name != CONFIG_FILE)
        return [file for file in others if file.suffix not in WEIGHT_SUFFIXES]
    if isinstance(tokenizer, HFTokenizer):
        tokenizer.save_pretrained(str(folder))
        return list(folder.iterdir())
    return []
