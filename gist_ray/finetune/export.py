"""Writes a CLIP as a folder that plain open_clip loads."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import open_clip
from open_clip.factory import LOCAL_DIR_PREFIX
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import save_file

from gist_ray.encoders.clip import Clip
from gist_ray.store import storage

CONFIG_FILE = "open_clip_config.json"
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")


def export_model(clip: Clip, source_name: str, folder_uri: str, *, half: bool = False) -> None:
    """Writes a folder that `open_clip.create_model_and_transforms("local-dir:FOLDER")` loads.

    source_name: open_clip's name of the model that `clip` was loaded as, for its architecture.
    half: store fp16, half the bytes; loading turns it back into fp32.
    """
    config = {
        "model_cfg": open_clip.get_model_config(source_name),
        "preprocess_cfg": asdict(clip.preprocess),
    }
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous().cpu()
        for name, value in clip.model.state_dict().items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "open_clip_model.safetensors")
        save_file(tensors, path)
        storage.put_file(path, storage.join(folder_uri, "open_clip_model.safetensors"))
        for file in _tokenizer_files(source_name, clip.tokenizer, Path(folder) / "tokenizer"):
            storage.put_file(str(file), storage.join(folder_uri, file.name))
    storage.write_text(storage.join(folder_uri, CONFIG_FILE), json.dumps(config, indent=2) + "\n")


def _tokenizer_files(source_name: str, tokenizer: Any, folder: Path) -> Iterable[Path]:
    """Returns the files that make the tokenizer again. From a folder, open_clip takes a Hugging
    Face tokenizer out of that folder only, whatever the config names."""
    if source_name.startswith(LOCAL_DIR_PREFIX):
        source = Path(source_name.removeprefix(LOCAL_DIR_PREFIX))
        others = (file for file in source.iterdir() if file.is_file() and file.name != CONFIG_FILE)
        return [file for file in others if file.suffix not in WEIGHT_SUFFIXES]
    if isinstance(tokenizer, HFTokenizer):
        tokenizer.save_pretrained(str(folder))
        return list(folder.iterdir())
    return []
