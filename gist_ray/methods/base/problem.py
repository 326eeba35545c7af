"""The inputs of a method: features, labels and texts of one draw. They contain no test image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Split:
    """The images of one split of a draw.

    image_ids: (num_images,) strings; features: (num_images, dim) float32, L2-normalised; labels:
    (num_images,) int64 in 0..num_classes-1.
    """

    image_ids: pa.Array
    features: np.ndarray
    labels: np.ndarray

    @classmethod
    def none(cls) -> "Split":
        """Returns a split without images."""
        return cls(pa.array([], pa.string()), np.empty((0, 0), np.float32), np.empty(0, np.int64))


@dataclass(frozen=True)
class TextSet:
    """The texts of one named set, embedded by the model that embedded the images.

    texts: the sentences; features: (num_texts, dim) float32, L2-normalised; labels: (num_texts,)
    int64, the class that each text is of; -1 in a set whose texts are of no class.
    """

    texts: Sequence[str]
    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Problem:
    """A classification problem as a method's `fit` gets it.

    `train` and `val` are the images of the draw (`val` may be empty); `texts` holds the sets that
    the method declares; `logit_scale` is the model's own, after exp; `seed` is of all that the
    method draws.
    """

    train: Split
    val: Split
    num_classes: int
    logit_scale: float
    seed: int
    texts: Mapping[str, TextSet] = field(default_factory=dict)


class Classifier(Protocol):
    """A fitted classifier: a frozen dataclass of arrays and numbers, which `stored` writes."""

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim)."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A classifier that says itself what decided. The predictions of others are explained by the
    text of the class that fits the image best."""

    def explain(self, features: np.ndarray, labels: np.ndarray) -> list[list[tuple[str, float]]]:
        """Returns for each row of `features` (num_images, dim) what speaks for its class in
        `labels` (num_images,), most first: (phrase, share between 0 and 1)."""
        ...


def explanations(
    classifier: Explaining, features: np.ndarray, labels: np.ndarray
) -> list[str | None]:
    """Returns for each image "striped wings (0.31), red beak (0.18)"; None where nothing speaks
    for its class."""
    return [
        ", ".join(f"{phrase} ({share:.2f})" for phrase, share in found) or None
        for found in classifier.explain(features, labels)
    ]
