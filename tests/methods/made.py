"""Made features: images and texts around one direction per class, as arrays and as stages."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gist_ray.methods.base.problem import Problem, Split, TextSet
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Done, Stage, in_order
from gist_ray.schema import MANIFEST, SHOTS, TEXTS, embeddings, table
from gist_ray.store.artifacts import ArtifactStore, table_content

NUM_CLASSES = 6
LOGIT_SCALE = 20.0
CENTRES = np.linalg.qr(np.random.default_rng(7).normal(size=(12, 12)))[0][:NUM_CLASSES]


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def split(name: str, per_class: int, seed: int) -> Split:
    labels = np.repeat(np.arange(NUM_CLASSES), per_class)
    noise = np.random.default_rng(seed).normal(size=(len(labels), 12))
    ids = pa.array([f"{name}{number}" for number in range(len(labels))])
    return Split(ids, unit(CENTRES[labels] + 0.25 * noise), labels)


TRAIN, VAL, TEST = split("train", 5, 0), split("val", 4, 1), split("test", 10, 2)
TEXT_LABELS = np.repeat(np.arange(NUM_CLASSES), 4)
CLASS_TEXTS = TextSet(
    [f"text {number}" for number in range(24)],
    unit(CENTRES[TEXT_LABELS] + 0.2 * np.random.default_rng(5).normal(size=(24, 12))),
    TEXT_LABELS,
)
NAMES = TextSet(
    [f"name {number}" for number in range(12)],
    unit(np.concatenate([CENTRES, CENTRES + 0.1])),
    np.tile(np.arange(NUM_CLASSES), 2),
)
CONCEPTS = TextSet(
    [f"concept {number}" for number in range(8)],
    unit(CENTRES[np.arange(8) % 6] + CENTRES[(np.arange(8) + 1) * 2 % 5]),
    np.full(8, -1),
)
TEXT_SETS = {"class": CLASS_TEXTS, "names": NAMES, "concepts": CONCEPTS}


def problem(**changes: Any) -> Problem:
    given: dict[str, Any] = {
        "train": TRAIN,
        "val": VAL,
        "num_classes": NUM_CLASSES,
        "logit_scale": LOGIT_SCALE,
        "seed": 2,
        "texts": TEXT_SETS,
    }
    return Problem(**(given | changes))


def problem_of(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    num_classes: int,
    seed: int = 0,
) -> Problem:
    """A problem of (features, labels) of train and val, without texts."""
    return Problem(labelled(*train), labelled(*val), num_classes, LOGIT_SCALE, seed)


def labelled(features: np.ndarray, labels: np.ndarray) -> Split:
    ids = pa.array([str(number) for number in range(len(labels))], pa.string())
    return Split(ids, features, labels)


def stages(splits: Mapping[str, Split], without: Collection[str] = ()) -> dict[str, Stage]:
    """{the name that the stages of methods give an input: a stage that leaves it} of a data set
    with these splits and all sets of texts. The sample is all of train and val.

    without: ids of images and texts ("class 0", "names 0") that have no embedding.
    """
    made = {
        "manifest": _held("manifest", _manifest(splits)),
        "shots": _held("shots", _shots(splits)),
        "image_embeddings": _held(
            "image_embeddings",
            _vectors(
                "image_id",
                [i for one in splits.values() for i in one.image_ids.to_pylist()],
                np.concatenate([one.features for one in splits.values()]),
                without,
            ),
        ),
    }
    for name, texts in TEXT_SETS.items():
        ids = [f"{name} {number}" for number in range(len(texts.texts))]
        made[f"texts {name}"] = _held(f"texts {name}", _texts(name, ids, texts))
        made[f"text_embeddings {name}"] = _held(
            f"text_embeddings {name}", _vectors("text_id", ids, texts.features, without)
        )
    return made


def ran(store: ArtifactStore, *ends: Stage) -> dict[str, Done]:
    """{name of a stage: what it left} of `ends` and all that they are made from."""
    return run_flow(in_order(ends), store, Progress(), num_cpus=1, max_failed_fraction=0)


def _held(name: str, rows: pa.Table) -> Stage:
    def run(inputs: object, writer: Any, progress: object) -> None:
        writer.write(rows)
        if "embedding" in rows.column_names:
            writer.extra["logit_scale"] = LOGIT_SCALE

    identity = {"rows": table_content(rows)}
    return Stage(name=name, kind=name.replace(" ", "_"), group=name, identity=identity, run=run)


def _manifest(splits: Mapping[str, Split]) -> pa.Table:
    rows = [
        {
            "image_id": image_id,
            "uri": f"/{image_id}.png",
            "label": int(label),
            "class_name": f"class {label}",
            "split": name,
            "attributes": "{}",
        }
        for name, one in splits.items()
        for image_id, label in zip(one.image_ids.to_pylist(), one.labels, strict=True)
    ]
    return table(rows, MANIFEST)


def _shots(splits: Mapping[str, Split]) -> pa.Table:
    rows = [
        {"image_id": image_id, "label": int(label), "split": name}
        for name in ("train", "val")
        if name in splits
        for image_id, label in zip(
            splits[name].image_ids.to_pylist(), splits[name].labels, strict=True
        )
    ]
    return table(rows, SHOTS)


def _texts(name: str, ids: list[str], texts: TextSet) -> pa.Table:
    rows = [
        {
            "text_id": text_id,
            "set": name,
            "label": int(label) if label >= 0 else None,
            "class_name": f"class {label}" if label >= 0 else None,
            "axis": "",
            "prompt_id": "",
            "sample": 0,
            "prompt": "",
            "raw": text,
            "text": text,
            "model": "",
            "sampling_params": "{}",
        }
        for text_id, text, label in zip(ids, texts.texts, texts.labels, strict=True)
    ]
    return table(rows, TEXTS)


def _vectors(
    id_column: str, ids: list[str], features: np.ndarray, without: Collection[str]
) -> pa.Table:
    rows = [
        {id_column: one, "embedding": vector}
        for one, vector in zip(ids, features, strict=True)
        if one not in without
    ]
    return table(rows, embeddings(id_column, features.shape[1]))
