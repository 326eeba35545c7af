"""Top-1/3/5, mean per class, macro-F1 and calibration error, for any number of resamples at once.

Each metric is a ratio of sums over images, so one pass with a weight per image and resample gives
the value (weights of 1) and its bootstrap distribution (how often each image was drawn).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from gist_ray.errors import UserError
from gist_ray.matching.similarity import top_k

TOPS = (1, 3, 5)
METRIC_NAMES = ("top1", "top3", "top5", "mean_per_class", "macro_f1", "ece")
NUM_CALIBRATION_BINS = 15

NO_IMAGE = "there is no labelled image to evaluate: check the manifest's split column."


@dataclass(frozen=True)
class Outcomes:
    """What the metrics need of each image. labels, predicted: (num_images,) int64; right:
    (num_images, 3) bool, whether the label is among the first 1, 3 and 5; confidence: (num_images,)
    probability of the predicted class."""

    labels: np.ndarray
    predicted: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    num_classes: int


def outcomes(probabilities: np.ndarray, labels: np.ndarray) -> Outcomes:
    """Rank the classes of each image; of equal probabilities the lower label comes first.

    probabilities: (num_images, num_classes), labels: (num_images,) in 0..num_classes-1.
    Raises UserError without images.
    """
    if not len(labels):
        raise UserError(NO_IMAGE)
    hits = top_k(probabilities, max(TOPS)) == labels[:, None]
    predicted = probabilities.argmax(axis=1)
    return Outcomes(
        labels.astype(np.int64),
        predicted,
        np.stack([hits[:, :top].any(axis=1) for top in TOPS], axis=1),
        probabilities[np.arange(len(labels)), predicted],
        probabilities.shape[1],
    )


def join_outcomes(parts: Sequence[Outcomes], order: np.ndarray) -> Outcomes:
    """The images of `parts` one after another, then in `order` (num_images,)."""
    return Outcomes(
        np.concatenate([part.labels for part in parts])[order],
        np.concatenate([part.predicted for part in parts])[order],
        np.concatenate([part.right for part in parts])[order],
        np.concatenate([part.confidence for part in parts])[order],
        parts[0].num_classes,
    )


def compute_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """METRIC_NAMES -> value, fractions in 0..1. Arguments and errors as in `outcomes`.

    mean_per_class is the mean recall of the classes with images; macro_f1 the mean F1 of the
    classes with images or predictions; ece uses 15 bins of equal width (Guo et al. 2017). With 5
    classes or fewer top5 is 1.
    """
    found = outcomes(probabilities, labels)
    ones = np.ones((len(labels), 1))
    return {name: float(values[0]) for name, values in weighted_metrics(found, ones).items()}


def weighted_metrics(found: Outcomes, weights: np.ndarray) -> dict[str, np.ndarray]:
    """METRIC_NAMES -> (num_resamples,) for weights (num_images, num_resamples) >= 0."""
    total = weights.sum(axis=0)
    top1 = found.right[:, 0]
    values = dict(
        zip(("top1", "top3", "top5"), found.right.T.astype(float) @ weights / total, strict=True)
    )

    support = _sums(found.labels, found.num_classes, weights)
    predicted = _sums(found.predicted, found.num_classes, weights)
    correct = _sums(found.labels[top1], found.num_classes, weights[top1])
    present = support > 0
    recall = np.divide(correct, support, out=np.zeros_like(correct), where=present)
    values["mean_per_class"] = recall.sum(axis=0) / present.sum(axis=0)
    either = support + predicted > 0
    f1 = np.divide(2 * correct, support + predicted, out=np.zeros_like(correct), where=either)
    values["macro_f1"] = f1.sum(axis=0) / either.sum(axis=0)

    bins = np.ceil(found.confidence * NUM_CALIBRATION_BINS).astype(np.int64) - 1
    bins = np.clip(bins, 0, NUM_CALIBRATION_BINS - 1)
    gap = (found.confidence - top1)[:, None] * weights
    values["ece"] = np.abs(_sums(bins, NUM_CALIBRATION_BINS, gap)).sum(axis=0) / total
    return values


def _sums(groups: np.ndarray, num_groups: int, weights: np.ndarray) -> np.ndarray:
    """Sums (num_groups, num_resamples) of the rows of `weights` by group (num_images,)."""
    num_images = len(groups)
    membership = csr_array(
        (np.ones(num_images), (groups, np.arange(num_images))), shape=(num_groups, num_images)
    )
    return membership @ weights
