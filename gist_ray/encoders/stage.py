"""The embedding stages on Ray Data: decode beside, encode in an actor pool, store in parts."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import torch

from gist_ray import schema
from gist_ray.encoders.clip import Clip, embed_images, embed_texts, load_clip, to_pixels
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.images.decode import ImageError, decode, fetch
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.store.retry import PATIENCE_S

FETCH_THREADS = 8

FEW_TEXTS = 2000
"""Up to so many texts are embedded where the stage is run, if that is to be on CPUs and in fp32: a
process for them would take longer to start (torch, open_clip, the model) than they do."""

# How long the pictures of a block may wait together for a store that is throttled or down, before
# each of the rest is given a short try only: an outage must not look like a run that hangs.
BLOCK_PATIENCE_S = 300.0
SHORT_PATIENCE_S = 5.0

Batch = dict[str, Any]


def embed_image_rows(
    rows: pa.Table,
    clip: ClipConfig,
    config: EmbedConfig,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Embed every image of `rows` (image_id, uri). Images that give no pixels become error rows."""
    loaded = load_clip(clip)
    writer.extra["logit_scale"] = loaded.logit_scale
    dim = embed_images(loaded, np.zeros((1, *_size(loaded.preprocess), 3), np.uint8)).shape[1]
    pool = actor_pool(config, {"clip": clip, "config": config})

    def transform(dataset: ray.data.Dataset) -> ray.data.Dataset:
        pixels = decoded(dataset, loaded.preprocess, config)
        return pixels.map_batches(ImageEncoder, **pool)

    run_rows(
        rows.select(["image_id", "uri"]),
        id_column="image_id",
        transform=transform,
        schema=schema.embeddings("image_id", dim),
        writer=writer,
        rows_per_part=config.rows_per_part,
        unit="images",
        progress=progress,
    )


def embed_text_rows(
    rows: pa.Table,
    clip: ClipConfig,
    config: EmbedConfig,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Embed every text of `rows` (text_id, text)."""
    loaded = load_clip(clip)
    writer.extra["logit_scale"] = loaded.logit_scale
    dim = embed_texts(loaded, ["a"]).shape[1]
    pool = actor_pool(config, {"clip": clip, "config": config})
    are_few = len(rows) <= FEW_TEXTS and not config.gpus_per_worker and config.precision == "fp32"
    run_rows(
        rows.select(["text_id", "text"]),
        id_column="text_id",
        transform=lambda dataset: dataset.map_batches(TextEncoder, **pool),
        schema=schema.embeddings("text_id", dim),
        writer=writer,
        rows_per_part=config.rows_per_part,
        unit="texts",
        progress=progress,
        here=partial(_text_table, loaded, config.batch_size) if are_few else None,
    )


class ImageEncoder:
    """An actor that holds the image tower."""

    def __init__(self, clip: ClipConfig, config: EmbedConfig) -> None:
        self.clip = _load_for_actor(clip, config)

    def __call__(self, batch: Batch) -> Batch:
        embedding = embed_images(self.clip, batch["pixels"])
        kinds, messages = vector_errors(embedding)
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "embedding": embedding,
            "error_kind": [
                of_file or kind for of_file, kind in zip(batch["error_kind"], kinds, strict=True)
            ],
            "error_message": [
                of_file or message
                for of_file, message in zip(batch["error_message"], messages, strict=True)
            ],
        }


class TextEncoder:
    """An actor that holds the text tower."""

    def __init__(self, clip: ClipConfig, config: EmbedConfig) -> None:
        self.clip = _load_for_actor(clip, config)

    def __call__(self, batch: Batch) -> Batch:
        return _embedded_texts(self.clip, batch)


def _embedded_texts(clip: Clip, batch: Batch) -> Batch:
    embedding = embed_texts(clip, list(batch["text"]))
    kinds, messages = vector_errors(embedding)
    return {
        "text_id": batch["text_id"],
        "embedding": embedding,
        "error_kind": kinds,
        "error_message": messages,
    }


def _text_table(clip: Clip, batch_size: int, rows: pa.Table) -> pa.Table:
    """What TextEncoder makes of `rows`, as a table."""
    tables = []
    for batch in rows.to_batches(max_chunksize=batch_size):
        columns = _embedded_texts(clip, batch.to_pydict())
        vectors = columns["embedding"]
        flat = pa.array(vectors.ravel())
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def vector_errors(embedding: np.ndarray) -> tuple[list[str], list[str]]:
    """Kinds and messages of the rows where the model gave no vector, "" where it did."""
    # vectors come normalised; a length that is no number is above nothing
    is_vector = np.linalg.norm(embedding, axis=1) > 0.5
    message = "the model gave a vector that is not finite or has no length. Check its weights"
    return (
        ["" if ok else "bad_embedding" for ok in is_vector],
        ["" if ok else message for ok in is_vector],
    )


def _load_for_actor(clip: ClipConfig, config: EmbedConfig) -> Any:
    torch.set_num_threads(max(1, int(config.cpus_per_worker)))
    device = "cuda" if config.gpus_per_worker else "cpu"
    return load_clip(clip, device=device, precision=config.precision)


def actor_pool(config: EmbedConfig, constructor: dict[str, Any]) -> dict[str, Any]:
    """How map_batches runs encoders: as many, on what, and what their constructor is given."""
    return {
        "fn_constructor_kwargs": constructor,
        "batch_size": config.batch_size,
        # A range, not a fixed size: a fixed pool whose actor dies can hang (ray#62746, Ray<=2.60).
        "compute": ray.data.ActorPoolStrategy(min_size=1, max_size=max(2, config.max_workers)),
        "num_cpus": config.cpus_per_worker,
        "num_gpus": config.gpus_per_worker,
    }


def decoded(dataset: ray.data.Dataset, preprocess: Any, config: EmbedConfig) -> ray.data.Dataset:
    """Rows of image_id and uri with `pixels` of the model's size, uint8, and the error_kind and
    error_message of those that have none, whose pixels are black."""
    return dataset.map_batches(
        _decoder(preprocess, config),
        batch_size=None,
        compute=ray.data.TaskPoolStrategy(size=config.max_decoders),
        num_cpus=1,
    )


def _decoder(preprocess: Any, config: EmbedConfig) -> Callable[[Batch], Batch]:
    height, width = _size(preprocess)
    limits = config.limits

    def decode_batch(batch: Batch) -> Batch:
        transform = to_pixels(preprocess)
        end = time.monotonic() + BLOCK_PATIENCE_S

        def one(uri: str) -> tuple[np.ndarray | None, str, str]:
            patience_s = min(PATIENCE_S, max(SHORT_PATIENCE_S, end - time.monotonic()))
            try:
                image = decode(fetch(uri, limits.max_bytes, patience_s), limits.max_image_pixels)
                return np.asarray(transform(image)), "", ""
            except ImageError as error:
                return None, error.kind, error.message

        with ThreadPoolExecutor(FETCH_THREADS) as threads:
            results = list(threads.map(one, batch["uri"]))
        blank = np.zeros((height, width, 3), np.uint8)
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "pixels": np.stack([blank if image is None else image for image, _, _ in results]),
            "error_kind": [kind for _, kind, _ in results],
            "error_message": [message for _, _, message in results],
        }

    return decode_batch


def _size(preprocess: Any) -> tuple[int, int]:
    size = preprocess.size
    return (size, size) if isinstance(size, int) else (size[0], size[1])
