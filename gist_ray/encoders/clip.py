"""A CLIP model with its preprocessing and tokenizer, and embeddings of images and texts."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.factory import LOCAL_DIR_PREFIX, parse_model_name
from open_clip.transform import PreprocessCfg, image_transform_v2

from gist_ray.encoders.checkpoint import check_weights, readable_by_open_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.store import storage

EMBEDDED_MODEL = "butterfly-clip"


@dataclass(frozen=True)
class Clip:
    """An open_clip model in eval mode, with its own tokenizer and preprocessing."""

    model: Any
    tokenizer: Any
    preprocess: PreprocessCfg
    device: torch.device

    @property
    def logit_scale(self) -> float:
        """Returns the learned inverse temperature, about 100 for CLIP."""
        return self.model.logit_scale.detach().exp().item()


def load_clip(
    config: ClipConfig,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    random_weights: bool = False,
) -> Clip:
    """Loads towers, preprocessing and tokenizer of one model.

    random_weights: initialise the weights at random, from torch's seed, instead of loading them.

    Raises:
        UserError: for an unknown model or tag, missing weights, or weights whose preprocessing or
            activation function is unknown.
    """
    name = open_clip_name(config)
    check_clip(config)

    def create(name: str, pretrained: str) -> Any:
        return open_clip.create_model_and_transforms(
            name,
            pretrained=pretrained or None,
            precision=precision,
            device=device,
            image_mean=config.image_mean,
            image_std=config.image_std,
            # otherwise open_clip gives random weights to a folder or hub model without weights
            require_pretrained=_has_prefix(name) and not random_weights,
            load_weights=not random_weights,
        )[0]

    try:
        model = create(name, config.pretrained)
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # a damaged weights file raises nearly anything
        of_copy = readable_by_open_clip(name, config.pretrained, setting=_setting(config))
        if random_weights or of_copy == (name, config.pretrained):
            first = str(error).strip().partition("\n")[0]
            raise UserError(
                f"{_setting(config)}: open_clip cannot load it ({type(error).__name__}: {first})."
            ) from error
        model, tokenizer = create(*of_copy), open_clip.get_tokenizer(name)
    cfg = model.visual.preprocess_cfg
    return Clip(
        model=model.eval(),
        tokenizer=tokenizer,
        preprocess=PreprocessCfg(**cfg),
        device=torch.device(device),
    )


def open_clip_name(config: ClipConfig) -> str:
    """Returns the name by which open_clip's functions know the model; a folder on S3 is copied to
    this machine."""
    if config.model == EMBEDDED_MODEL:
        return f"{LOCAL_DIR_PREFIX}{embedded_folder()}"
    if config.model.startswith(LOCAL_DIR_PREFIX):
        return LOCAL_DIR_PREFIX + local_folder(config.model.removeprefix(LOCAL_DIR_PREFIX))
    return config.model


def embedded_folder() -> str:
    return str(files("gist_ray") / "demo" / "assets" / "butterfly_clip")


def local_folder(uri: str) -> str:
    """Returns `uri` as an absolute path if it is local, else a cached local copy of its current
    content. Raises UserError if there is no such folder."""
    if storage.is_local(uri):
        return storage.absolute(uri)
    state = [(name, storage.version(storage.join(uri, name))) for name in storage.list_files(uri)]
    if not state:
        raise UserError(f"{uri}: there is no model folder here.")
    key = hashlib.sha256(f"{uri}{sorted(state)}".encode()).hexdigest()[:16]
    folder = storage.cache_folder() / "models" / key
    for name, _ in state:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{uri}: the file name {name!r} leads out of the folder. Remove it.")
        if not (folder / name).exists():
            storage.get_file(storage.join(uri, name), str(folder / name))
    return str(folder)


def fingerprint_of_weights(config: ClipConfig) -> str:
    """Returns 16 hex digits of the hash of the files in a model's folder, or of its weights file;
    "" for a model that its name and tag identify.

    A new training changes such files but not their path in the config.
    """
    name = open_clip_name(config)
    if name.startswith(LOCAL_DIR_PREFIX):
        folder = Path(name.removeprefix(LOCAL_DIR_PREFIX))
        # not what another process is copying into the cache at this moment
        files_of_model = sorted(
            file
            for file in folder.glob("*")
            if file.is_file() and file.suffix != storage.UNFINISHED
        )
    elif os.path.isfile(config.pretrained):
        files_of_model = [Path(config.pretrained)]
    else:
        return ""
    digest = hashlib.sha256()
    for file in files_of_model:
        digest.update(file.name.encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def to_pixels(clip_preprocess: PreprocessCfg) -> Any:
    """Returns open_clip's evaluation transform without its last steps: PIL image -> PIL image of
    the model's size.

    `embed_images` does the last steps, so that uint8 pixels are passed between processes instead of
    float32, which takes four times the bytes.
    """
    transform = image_transform_v2(clip_preprocess, is_train=False)
    transform.transforms = transform.transforms[:-2]  # without ToTensor and Normalize
    return transform


@torch.inference_mode()
def embed_images(clip: Clip, pixels: np.ndarray) -> np.ndarray:
    """Returns the embeddings (num_images, dim) float32, L2-normalised, of images.

    pixels: (num_images, height, width, 3) uint8, of the model's size.
    """
    images = torch.from_numpy(pixels).to(clip.device).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(clip.preprocess.mean, device=clip.device).view(1, 3, 1, 1)
    std = torch.tensor(clip.preprocess.std, device=clip.device).view(1, 3, 1, 1)
    images = ((images - mean) / std).to(_dtype(clip))
    return _normalised(clip.model.encode_image(images))


@torch.inference_mode()
def embed_texts(clip: Clip, texts: Sequence[str]) -> np.ndarray:
    """Returns the embeddings (num_texts, dim) float32, L2-normalised, of texts. open_clip truncates
    texts longer than the context (`fits_context` of context.py)."""
    tokens = clip.tokenizer(list(texts)).to(clip.device)
    return _normalised(clip.model.encode_text(tokens))


def _dtype(clip: Clip) -> torch.dtype:
    """Returns the dtype that the image tower's first layer takes. The tower's positional embedding
    stays in fp32 where open_clip puts the layers in bf16 or fp16."""
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    return next(m for m in clip.model.visual.modules() if isinstance(m, layers)).weight.dtype


def _normalised(features: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(features.float(), dim=-1).cpu().numpy()


def _setting(config: ClipConfig) -> str:
    """Returns the setting that names the weights, with its value, for messages."""
    if os.path.isfile(config.pretrained):
        return f"clip.pretrained={config.pretrained}"
    return f"clip.model={config.model}"


def _has_prefix(name: str) -> bool:
    return parse_model_name(name)[0] is not None


def check_weights_of(config: ClipConfig) -> None:
    """Raises UserError as `check_clip` does, and for a weights file that does not fit the model.
    Reads the names and shapes in the file; those that come with the package are not read."""
    check_clip(config)
    if config.model != EMBEDDED_MODEL:
        check_weights(open_clip_name(config), config.pretrained, setting=_setting(config))


def check_clip(config: ClipConfig) -> None:
    """Raises UserError for a problem of a model that shows without loading it."""
    name = open_clip_name(config)
    if name.startswith(LOCAL_DIR_PREFIX):
        folder = Path(name.removeprefix(LOCAL_DIR_PREFIX))
        if not (folder / "open_clip_config.json").is_file():
            raise UserError(
                f"clip.model={config.model}: there is no open_clip_config.json in {folder}. Give "
                "the folder of a fine-tuned model, or an architecture with clip.pretrained."
            )
    if _has_prefix(name):
        return
    if name not in open_clip.list_models():
        raise UserError(
            f"clip.model={name}: not one of open_clip's {len(open_clip.list_models())} "
            "architectures. List them with `python -c 'import open_clip; "
            "print(open_clip.list_models())'`, or give local-dir:FOLDER."
        )
    tag = open_clip.get_pretrained_cfg(name, config.pretrained)
    if config.pretrained and not tag and not os.path.isfile(config.pretrained):
        raise UserError(
            f"clip.pretrained={config.pretrained}: neither a tag of {name} (there are: "
            f"{', '.join(open_clip.list_pretrained_tags_by_model(name)) or 'none'}) nor a file."
        )
    if config.pretrained and not tag and not (config.image_mean and config.image_std):
        # open_clip would silently use OpenAI's mean and std (open_clip#1068)
        raise UserError(
            f"clip.pretrained={config.pretrained}: a weights file does not say how its pictures "
            "were normalised. Set clip.image_mean and clip.image_std, for OpenAI's and most LAION "
            "weights [0.48145466,0.4578275,0.40821073] and [0.26862954,0.26130258,0.27577711]."
        )
    wants_quick_gelu = bool(tag and tag.get("quick_gelu"))
    right = f"{name}-quickgelu" if wants_quick_gelu else name.removesuffix("-quickgelu")
    has_quick_gelu = bool(open_clip.get_model_config(name).get("quick_gelu"))
    # if there is no such architecture (roberta-ViT-B-32), the tag's entry is incomplete
    has_twin = right != name and right in open_clip.list_models()
    if tag and has_twin and wants_quick_gelu != has_quick_gelu:
        # open_clip only logs a warning, and the embeddings are worse (open_clip#441, #771)
        raise UserError(
            f"clip.model={name} with clip.pretrained={config.pretrained}: these weights were "
            f"trained with another activation function. Use clip.model={right}."
        )
