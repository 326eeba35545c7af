"""A finished store for a manifest of any length, without its pictures.

What would take days here is written by this module through the product's own ArtifactWriter, and
nothing else is: the vectors of images and texts, random about a direction of their class, and
trainings that have no weights. The rest is the product's own work.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gist_ray import schema
from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.run.stage import Stage
from gist_ray.schema import PAIRS, is_test, usable_texts
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter
from gist_ray.study.graph import StudyGraph

ROWS_PER_PART = 512
SPREAD = 0.12
"""Of a vector about its class, per dimension: at 512 a probe is right in most cases, not in all."""

COLOURS = ["amber", "black", "blue", "brown", "cream", "crimson", "gold", "green", "grey", "olive"]
COLOURS += ["orange", "pink", "plum", "red", "russet", "silver", "tan", "teal", "white", "yellow"]
PARTS = ("fore wings", "hind wings", "border", "body", "head", "legs", "eyes", "tail")


def write_data(folder: Path, num_images: int, num_classes: int, texts_each: int) -> None:
    """manifest.parquet, nine rows in ten of them to train on, and texts.json below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(num_images)
    splits = np.where(numbers % 20 == 0, "val", np.where(numbers % 20 == 1, "test", "train"))
    names = [f"Species {label:04}" for label in range(num_classes)]
    labels = numbers // 20 % num_classes
    columns = {
        "image": [f"images/{number:07}.jpg" for number in numbers],
        "class_name": pa.array(names).take(pa.array(labels)),
        "split": splits,
    }
    pq.write_table(pa.table(columns), folder / "manifest.parquet")
    written = sentences(num_classes * texts_each)
    texts = {name: written[label::num_classes] for label, name in enumerate(names)}
    (folder / "texts.json").write_text(json.dumps(texts))


def sentences(number: int) -> list[str]:
    """Texts that no check of cleaning finds fault with, but that a few are near-duplicates."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(number):
        of_colour = [
            f"{colour} {part}"
            for colour, part in zip(rng.choice(COLOURS, 4), rng.permutation(PARTS)[:4], strict=True)
        ]
        found.append(f"It has {', '.join(of_colour[:-1])} and a {of_colour[-1]}.")
    return found


def write_stand_ins(graph: StudyGraph, store: ArtifactStore, dim: int) -> None:
    """The artifacts of `graph` that the product would need pictures for. Its texts and samples have
    to be stored."""
    num_classes = len(graph.data.classes)
    centres = _unit(np.random.default_rng(1).standard_normal((num_classes, dim)))
    for stage in graph.stages:
        if stage.find(store):
            continue
        writer = stage.writer(store)
        if stage.kind == "finetuned":
            writer.write(PAIRS.empty_table(), PAIRS_FILE)
        elif stage.kind == "image_embeddings":
            images = graph.manifest.select(["image_id", "label"])
            if "shots" in stage.inputs:
                sample = _stored(stage.inputs["shots"], store)
                images = images.filter(_evaluated(graph.manifest, sample))
            write_vectors(writer, "image_id", images, centres)
        elif stage.kind == "text_embeddings":
            texts = usable_texts(_stored(stage.inputs["texts"], store).read())
            write_vectors(writer, "text_id", texts, centres)
        else:
            continue
        writer.extra["logit_scale"] = 100.0
        writer.publish(0)


def _stored(stage: Stage, store: ArtifactStore) -> Artifact:
    artifact = stage.find(store)
    assert artifact is not None, stage.name
    return artifact


def _evaluated(manifest: pa.Table, sample: Artifact) -> pa.ChunkedArray:
    """Whether a tuned model embeds the image: those of the test split and of the sample."""
    ids = sample.read(["image_id"]).column("image_id").combine_chunks()
    in_sample = pc.is_in(manifest.column("image_id"), value_set=ids)
    return pc.or_(is_test(manifest.column("split")), in_sample)


def write_vectors(
    writer: ArtifactWriter, id_column: str, rows: pa.Table, centres: np.ndarray
) -> None:
    """A part for every ROWS_PER_PART rows, as the embedding stages leave them."""
    rng = np.random.default_rng(int(writer.uri[-8:], 16))
    dim = centres.shape[1]
    for number, start in enumerate(range(0, len(rows), ROWS_PER_PART)):
        piece = rows.slice(start, ROWS_PER_PART)
        noise = rng.standard_normal((len(piece), dim), dtype=np.float32)
        vectors = _unit(centres[piece.column("label").to_numpy()] + SPREAD * noise)
        columns = [
            piece.column(id_column).combine_chunks(),
            pa.FixedSizeListArray.from_arrays(vectors.astype(np.float32).ravel(), dim),
        ]
        table = pa.table(columns, schema=schema.embeddings(id_column, dim))
        writer.write(table, f"parts/{number:06}.parquet")


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
