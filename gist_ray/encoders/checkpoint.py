"""Weights files of CLIP models as other programs save them: unwrapped where that is safe, else
refused with what the file looks like.

open_clip reads a dict of tensors under its own names, also in a `state_dict` and behind `module.`,
and converts MobileCLIP and big_vision itself. Everything else it refuses with every name of the
file.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import LOCAL_DIR_PREFIX, _find_checkpoint_in_dir
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gist_ray.errors import UserError
from gist_ray.store import storage

WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
"""Keys under which training programs save the weights beside their own state."""

PREFIXES = ("module.", "model.", "net.", "clip.", "clip_model.")
"""Names of the attribute that held the model (DDP, Lightning, own modules)."""

COMPILED = "_orig_mod."
"""Put by torch.compile before the names of what it compiled, at any depth."""

CONVERTED = (
    "image_encoder.model.patch_embed.0.rbr_conv.0.conv.weight",
    "image_encoder.model.patch_emb.0.block.conv.weight",
)
"""Names by which open_clip knows the MobileCLIP files that it converts."""

NOT_NEEDED = ("logit_bias", "text.transformer.embeddings.position_ids")
RESIZED = ("positional_embedding", "pos_embed", "logit_scale", "logit_bias")
"""Ends of the names of weights that open_clip fits to the model."""

LOOKS = (
    (("text_model.embeddings.token_embedding.weight",), "Hugging Face's CLIPModel (transformers)"),
    (("vision_tower.", "language_model."), "a generative vision-language model such as LLaVA"),
    (("lora_A.", "lora_B."), "LoRA weights of peft, which are only a part of a model"),
    (("patch_embed.proj.weight", "blocks.0."), "timm's vision transformer, an image tower alone"),
    (("embeddings.patch_embeddings.",), "Hugging Face's vision transformer, an image tower alone"),
    (("layer1.0.", "fc.weight"), "a torchvision ResNet, which has no text tower"),
)
"""(parts of names that all occur, what such a file is)"""

MOST_SHOWN = 3

WEIGHTS = "open_clip_model.safetensors"
"""The file of the unwrapped copy, which open_clip prefers in a folder."""

WEIGHTS_ENDINGS = (".safetensors", ".bin", ".pth")

Tensors = dict[str, torch.Tensor]


def weights_file(name: str, pretrained: str) -> str:
    """Returns the weights file that open_clip would read for a model; "" if that is no local file.

    name: as open_clip's functions know it. pretrained: a tag or a file.
    """
    if name.startswith(LOCAL_DIR_PREFIX):
        with _quiet():
            return _find_checkpoint_in_dir(Path(name.removeprefix(LOCAL_DIR_PREFIX))) or ""
    return pretrained if os.path.isfile(pretrained) else ""


def check_weights(name: str, pretrained: str, *, setting: str) -> None:
    """Raises UserError if the weights file does not fit the model. setting: such as
    "clip.model=ViT-B-32", for the message."""
    file = weights_file(name, pretrained)
    if file and (problem := _problem(name, file, _read(file, setting, shapes_only=True)[0])):
        raise UserError(f"{setting}: open_clip cannot load it: {problem}")


def readable_by_open_clip(name: str, pretrained: str, *, setting: str) -> tuple[str, str]:
    """Returns `name` and `pretrained`, or those of a copy in the cache folder whose weights are
    unwrapped. Raises UserError as `check_weights` does."""
    file = weights_file(name, pretrained)
    if not file:
        return name, pretrained
    tensors, is_plain = _read(file, setting)
    if problem := _problem(name, file, tensors):
        raise UserError(f"{setting}: open_clip cannot load it: {problem}")
    if is_plain:
        return name, pretrained
    if name.startswith(LOCAL_DIR_PREFIX):
        beside = [one for one in Path(file).parent.iterdir() if one.suffix not in WEIGHTS_ENDINGS]
        return f"{LOCAL_DIR_PREFIX}{_copy_of(file, tensors, beside)}", pretrained
    return name, str(_copy_of(file, tensors, []) / WEIGHTS)


def unwrapped(loaded: Any) -> tuple[Tensors, bool]:
    """Returns the tensors of a checkpoint without wrappers and common prefixes, and whether there
    were none of these."""
    is_plain = True
    while wrapper := _wrapper_of(loaded):
        loaded, is_plain = loaded[wrapper], False
    items = loaded.items() if isinstance(loaded, Mapping) else []
    tensors = {str(key): value for key, value in items if isinstance(value, torch.Tensor)}
    names = [key.replace(COMPILED, "") for key in tensors]
    while prefix := next((p for p in PREFIXES if names and _all_start(names, p)), ""):
        names = [name.removeprefix(prefix) for name in names]
    is_plain = is_plain and names == list(tensors)
    return dict(zip(names, tensors.values(), strict=True)), is_plain


def _all_start(names: Sequence[str], prefix: str) -> bool:
    return all(name.startswith(prefix) for name in names)


def _wrapper_of(loaded: Any) -> str:
    if not isinstance(loaded, Mapping):
        return ""
    return next((key for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), "")


def _read(file: str, setting: str, *, shapes_only: bool = False) -> tuple[Tensors, bool]:
    """Returns what `unwrapped` does. shapes_only: the tensors may have no memory."""
    if file.endswith((".npz", ".npy")):
        return {}, True
    try:
        if file.endswith(".safetensors"):
            return unwrapped(_shapes_in(file) if shapes_only else load_file(file))
        try:
            return unwrapped(torch.load(file, map_location="cpu", weights_only=True, mmap=True))
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
        return unwrapped(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # a damaged weights file raises nearly anything
        first = str(error).strip().partition("\n")[0][:200]
        why = f"{type(error).__name__}: {first}"
        if "TorchScript" in str(error):
            why = (
                "a TorchScript archive, as OpenAI published its models. Take the tag "
                "clip.pretrained=openai, or save the state_dict() of the loaded model"
            )
        raise UserError(
            f"{setting}: open_clip cannot load it: {file} cannot be read as weights alone ({why})."
        ) from error


def _shapes_in(file: str) -> Tensors:
    """Returns tensors of the shapes that the header of a safetensors file says, without memory."""
    with safe_open(file, "pt") as opened:
        return {
            key: torch.empty(opened.get_slice(key).get_shape(), device="meta")
            for key in opened.keys()  # noqa: SIM118, it is no mapping
        }


def _problem(name: str, file: str, tensors: Tensors) -> str:
    """Returns how tensors do not fit a model; "" if they do, or if that shows only when loaded."""
    if file.endswith((".npz", ".npy")) or any(key in tensors for key in CONVERTED):
        return ""
    wanted = _shapes_of(name)
    if not wanted:
        return ""
    # open_clip puts "text." before the names of older files
    named = {key if key in wanted else f"text.{key}": tensor for key, tensor in tensors.items()}
    missing = [key for key in wanted if key not in named and key not in NOT_NEEDED]
    others = [key for key in tensors if key not in wanted and f"text.{key}" not in wanted]
    others = [key for key in others if key not in NOT_NEEDED]
    wrong = [
        f"{key} {tuple(tensor.shape)} for {wanted[key]}"
        for key, tensor in named.items()
        if key in wanted and tuple(tensor.shape) != wanted[key] and not key.endswith(RESIZED)
    ]
    if not (missing or others or wrong):
        return ""
    said = [
        f"{len(missing):,} of the model's {len(wanted):,} weights are missing{_few(missing)}",
        f"{len(others):,} of the file's {len(tensors):,} are none of the model's{_few(others)}",
        f"{len(wrong):,} have another shape{_few(wrong)}",
    ]
    found = [part for part, keys in zip(said, (missing, others, wrong), strict=True) if keys]
    return f"{file} holds weights of another model: {'; '.join(found)}. {_looks(tensors)}"


def _looks(tensors: Tensors) -> str:
    names = "\n".join(tensors)
    for parts, what in LOOKS:
        if all(part in names for part in parts):
            return (
                f"Its names are those of {what}. Give a checkpoint of open_clip, "
                "such as the same model from hf-hub: or by a tag of clip.pretrained."
            )
    if not tensors:
        return "There are no tensors in it. Save model.state_dict() of an open_clip model."
    return (
        "Give the architecture that it was trained as, or save model.state_dict() of the "
        "open_clip model alone."
    )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_SHOWN])
    return f" ({shown}{', ...' if len(names) > MOST_SHOWN else ''})" if names else ""


def _shapes_of(name: str) -> dict[str, tuple[int, ...]]:
    """Returns {weight: its shape} of a model, built without memory; {} for a text tower of Hugging
    Face, whose config would be downloaded."""
    config = open_clip.get_model_config(name) or {}
    if config.get("text_cfg", {}).get("hf_model_name"):
        return {}
    with _quiet(), torch.device("meta"):
        model = open_clip.create_model(name, load_weights=False, device="meta")
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without open_clip's warning that a model has no weights."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _copy_of(file: str, tensors: Tensors, beside: Sequence[Path]) -> Path:
    """Returns a folder in the cache with these tensors as WEIGHTS, and copies of the files
    `beside`."""
    state = os.stat(file)
    key = hashlib.sha256(f"{file} {state.st_mtime_ns} {state.st_size}".encode()).hexdigest()[:16]
    folder = storage.cache_folder() / "unwrapped" / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=folder.parent))
    for one in beside:
        if one.is_file():
            shutil.copy(one, making)
    own = {key: tensor.clone().contiguous() for key, tensor in tensors.items()}
    save_file(own, making / WEIGHTS)
    try:
        making.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(making)
    return folder
