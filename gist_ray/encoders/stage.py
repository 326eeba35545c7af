"""The embedding stages: decode, encode and store in parts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from gist_ray import schema
from gist_ray.encoders.clip import Clip, embed_images, embed_texts
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.encoders.decoding import decoding
from gist_ray.encoders.loaded import Source, facts_of, loaded_clip
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Batch, Step
from gist_ray.store.artifacts import ArtifactWriter


def embed_image_rows(
    rows: pa.Table,
    clip: ClipConfig,
    config: EmbedConfig,
    *,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Embeds every image of `rows` (image_id, uri). Images that give no pixels become error
    rows."""
    source = Source.of(clip)
    facts = facts_of(source)
    writer.extra["logit_scale"] = facts.logit_scale
    run_rows(
        rows.select(["image_id", "uri"]),
        id_column="image_id",
        steps=[decoding(facts.preprocess, config), encoding(ImageEncoder, (source,), config)],
        schema=schema.embeddings("image_id", facts.image_dim),
        writer=writer,
        rows_per_part=config.rows_per_part,
        unit="images",
        progress=progress,
    )


def embed_text_rows(
    rows: pa.Table,
    clip: ClipConfig,
    config: EmbedConfig,
    *,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Embeds every text of `rows` (text_id, text)."""
    source = Source.of(clip)
    facts = facts_of(source)
    writer.extra["logit_scale"] = facts.logit_scale
    run_rows(
        rows.select(["text_id", "text"]),
        id_column="text_id",
        steps=[encoding(TextEncoder, (source,), config)],
        schema=schema.embeddings("text_id", facts.text_dim),
        writer=writer,
        rows_per_part=config.rows_per_part,
        unit="texts",
        progress=progress,
    )


def encoding(encoder: Callable[..., Any], loads: tuple[Any, ...], config: EmbedConfig) -> Step:
    """Returns the step of an encoder, a class that is constructed with what it loads and the
    config."""
    return Step(
        make=encoder,
        args=(*loads, config),
        batch_size=config.batch_size,
        cpus=config.cpus_per_worker,
        gpus=config.gpus_per_worker,
        max_workers=config.max_workers,
    )


class ImageEncoder:
    """The encoder of images, which loads the model once per process."""

    def __init__(self, source: Source, config: EmbedConfig) -> None:
        self.clip = _load(source, config)

    def __call__(self, batch: Batch) -> Batch:
        embedding = embed_images(self.clip, batch["pixels"])
        kinds, messages = vector_errors(embedding)
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "embedding": embedding,
            "error_kind": first_of(batch["error_kind"], kinds),
            "error_message": first_of(batch["error_message"], messages),
        }


class TextEncoder:
    """The encoder of texts, which loads the model once per process."""

    def __init__(self, source: Source, config: EmbedConfig) -> None:
        self.clip = _load(source, config)

    def __call__(self, batch: Batch) -> Batch:
        embedding = embed_texts(self.clip, list(batch["text"]))
        kinds, messages = vector_errors(embedding)
        return {
            "text_id": batch["text_id"],
            "embedding": embedding,
            "error_kind": kinds,
            "error_message": messages,
        }


def vector_errors(embedding: np.ndarray) -> tuple[list[str], list[str]]:
    """Returns kinds and messages of the rows where the model gave no vector, "" where it did."""
    # Vectors come normalised. The norm of one that is not finite is NaN, and compares false.
    is_vector = np.linalg.norm(embedding, axis=1) > 0.5
    message = "the model gave a vector that is not finite or has no length. Check its weights"
    return (
        ["" if ok else "bad_embedding" for ok in is_vector],
        ["" if ok else message for ok in is_vector],
    )


def first_of(earlier: Sequence[str], later: Sequence[str]) -> list[str]:
    """Returns for every row the string of `earlier`, or that of `later` where it is empty."""
    return [one or other for one, other in zip(earlier, later, strict=True)]


def _load(source: Source, config: EmbedConfig) -> Clip:
    torch.set_num_threads(max(1, int(config.cpus_per_worker)))
    device = "cuda" if config.gpus_per_worker else "cpu"
    return loaded_clip(source, device, config.precision)
