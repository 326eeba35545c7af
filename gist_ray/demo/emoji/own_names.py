"""Measures how often a picture's most similar text of its class is its own name, for a CLIP before
fine-tuning."""

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import binomtest

from gist_ray.matching.vectors import find_vectors, stored_vectors
from gist_ray.schema import usable_texts
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.features import FROZEN
from gist_ray.study.graph import build_graph
from gist_ray.study.stored import read_run, stored


def own_name_accuracy(root: str, run: str) -> list[dict[str, Any]]:
    """Returns `own_names` of the pictures of a run, by the embeddings of the model before tuning.

    Raises UserError if there is no such run or it has not embedded texts and images.
    """
    config, store = read_run(root, run), ArtifactStore(root)
    graph = build_graph(config, store)
    frozen = next(r.features for r in graph.results.values() if r.features.name == FROZEN)
    texts = usable_texts(stored(store, frozen.texts["class"]).read())
    images = stored_vectors(stored(store, frozen.images), "image_id")
    text_vectors = stored_vectors(stored(store, frozen.text_embeddings["class"]), "text_id")
    known, image_features = find_vectors(images, graph.manifest["image_id"])
    manifest = graph.manifest.filter(pa.array(known))
    known, text_features = find_vectors(text_vectors, texts["text_id"])
    return own_names(
        manifest,
        texts.filter(pa.array(known)),
        image_features=image_features,
        text_features=text_features,
    )


def own_names(
    manifest: pa.Table,
    texts: pa.Table,
    *,
    image_features: np.ndarray,
    text_features: np.ndarray,
) -> list[dict[str, Any]]:
    """Returns a row for each value of pretraining_saw in the test pictures, and in the others.

    `right`: share of the pictures whose most similar text of their class is their name, with its
    Wilson interval `low`, `high`. `by_chance`: the expected share for a random text of the class.
    `vendors`, `pictures`: their names and number.

    manifest: MANIFEST rows whose attributes have name, vendor and pretraining_saw. A picture whose
    name is not among the texts of its class counts as wrong. image_features: (num_images, dim),
    text_features: (num_texts, dim), in the order of their tables.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(texts["class_name"].to_pylist()):
        rows_of[name].append(row)
    wording = np.array(texts["text"].to_pylist())
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    chances: dict[tuple[str, str], list[float]] = defaultdict(list)
    vendors: dict[tuple[str, str], set[str]] = defaultdict(set)
    columns = manifest.select(["class_name", "split", "attributes"]).to_pylist()
    for image, row in zip(image_features, columns, strict=True):
        about = json.loads(row["attributes"])
        own_class = rows_of[row["class_name"]]
        best = own_class[int((text_features[own_class] @ image).argmax())]
        key = ("test" if row["split"] == "test" else "train, val", about["pretraining_saw"])
        vendors[key].add(about["vendor"])
        hits[key].append(wording[best].casefold() == about["name"].casefold())
        chances[key].append(1 / len(own_class))
    return [
        {
            "split": key[0],
            "vendors": ", ".join(sorted(vendors[key])),
            "pretraining_saw": key[1],
            **_summary(hits[key], chances[key]),
        }
        for key in sorted(hits)
    ]


def _summary(hits: list[bool], chances: list[float]) -> dict[str, float]:
    interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return {
        "right": sum(hits) / len(hits),
        "low": float(interval.low),
        "high": float(interval.high),
        "by_chance": sum(chances) / len(chances),
        "pictures": len(hits),
    }
