"""Top-1/3/5, mean per class, macro-F1 and calibration error, for many resamples at once.

Each metric is computed from sums over images. One weight per image and resample gives the value
(weights of 1) and its bootstrap distribution (weights are how often each image was drawn).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.sparse import csc_array

from gist_ray.errors import UserError
from gist_ray.matching.similarity import top_k

TOPS = (1, 3, 5)
METRIC_NAMES = ("top1", "top3", "top5", "mean_per_class", "macro_f1", "ece")
NUM_CALIBRATION_BINS = 15

Part = slice | np.ndarray
"""Images: ALL, or their rows."""
ALL = slice(None)

NO_IMAGE = "there is no labelled image to evaluate: check the manifest's split column."


@dataclass(frozen=True)
class Outcomes:
    """The labels and predictions of images.

    labels: (num_images,) int64; ranked: (num_images, 5 at most) int32, the classes by falling
    probability; confidence: (num_images,) probability of the first.
    """

    labels: np.ndarray
    ranked: np.ndarray
    confidence: np.ndarray
    num_classes: int

    @property
    def predicted(self) -> np.ndarray:
        """The predicted classes, (num_images,) int32."""
        return self.ranked[:, 0]


def outcomes(probabilities: np.ndarray, labels: np.ndarray) -> Outcomes:
    """Returns the outcomes of predictions; of equal probabilities the lower label comes first.

    probabilities: (num_images, num_classes), labels: (num_images,) in 0..num_classes-1.
    Raises UserError without images.
    """
    if not len(labels):
        raise UserError(NO_IMAGE)
    ranked = top_k(probabilities, max(TOPS)).astype(np.int32)
    confidence = probabilities[np.arange(len(labels)), ranked[:, 0]]
    return Outcomes(labels.astype(np.int64), ranked, confidence, probabilities.shape[1])


def outcomes_of(predictions: pa.Table, num_classes: int) -> Outcomes:
    """Returns the outcomes of a PREDICTIONS table with one row or more, whose images are
    labelled."""
    ranked = predictions.column("top5").combine_chunks().flatten().to_numpy()
    return Outcomes(
        predictions.column("label").to_numpy().astype(np.int64),
        ranked.reshape(len(predictions), -1),
        predictions.column("probability").to_numpy(),
        num_classes,
    )


def compute_metrics(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns METRIC_NAMES -> value, fractions in 0..1. Arguments and errors as in `outcomes`.

    mean_per_class is the mean recall of the classes with images; macro_f1 the mean F1 of the
    classes with images or predictions; ece uses 15 bins of equal width (Guo et al. 2017). With 5
    classes or fewer top5 is 1.
    """
    found, ones = outcomes(probabilities, labels), np.ones((len(labels), 1))
    return {name: float(values[0]) for name, values in weighted_metrics(found, [ones]).items()}


def weighted_metrics(found: Outcomes, pieces: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Returns METRIC_NAMES -> (num_resamples,). Arguments as in `metrics_of_parts`."""
    return metrics_of_parts(found, [ALL], pieces)[0]


def metrics_of_parts(
    found: Outcomes, parts: Sequence[Part], pieces: Iterable[np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Returns METRIC_NAMES -> (num_resamples,) of each part of the images, all with the same
    weights. A part whose images have no weight in a resample is NaN there.

    pieces: weights >= 0, (num_images, some), that have num_resamples columns together.
    """
    sums = _sums_over_images(found)
    sums_of_parts = [(part, sums[:, part]) for part in parts]
    values: list[list[dict[str, np.ndarray]]] = [[] for _ in parts]
    for weights in pieces:
        for (part, of_part), pieces_of_part in zip(sums_of_parts, values, strict=True):
            pieces_of_part.append(_metrics_of_sums(of_part @ weights[part], found.num_classes))
    return [
        {name: np.concatenate([piece[name] for piece in of_part]) for name in METRIC_NAMES}
        for of_part in values
    ]


def _sums_over_images(found: Outcomes) -> csc_array:
    """Returns the contribution of each image to each sum, (num_sums, num_images).

    The sums, in this order: images; images right among the first 1, 3 and 5; for each class the
    images with its label, for each class those predicted as it, for each class those right; for
    each calibration bin confidence minus being right (0 or 1).
    """
    num_images, num_classes = len(found.labels), found.num_classes
    hits = found.ranked == found.labels[:, None]
    right = np.stack([hits[:, :top].any(axis=1) for top in TOPS], axis=1)
    bins = np.ceil(found.confidence * NUM_CALIBRATION_BINS).astype(np.int64) - 1
    bins = np.clip(bins, 0, NUM_CALIBRATION_BINS - 1)
    first = 1 + len(TOPS)
    of_class = (first, first + num_classes, first + 2 * num_classes, first + 3 * num_classes)
    places = np.empty((num_images, first + 4), np.int32)
    amounts = np.ones(places.shape)
    places[:, :first], amounts[:, 1:first] = np.arange(first), right
    places[:, first] = of_class[0] + found.labels
    places[:, first + 1] = of_class[1] + found.predicted
    places[:, first + 2], amounts[:, first + 2] = of_class[2] + found.labels, right[:, 0]
    places[:, first + 3], amounts[:, first + 3] = of_class[3] + bins, found.confidence - right[:, 0]
    starts = np.arange(num_images + 1) * places.shape[1]
    shape = (of_class[3] + NUM_CALIBRATION_BINS, num_images)
    return csc_array((amounts.ravel(), places.ravel(), starts), shape=shape)


def _metrics_of_sums(sums: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """Returns METRIC_NAMES -> (num_resamples,). sums: (num_sums, num_resamples), in the order of
    `_sums_over_images`."""
    of_all, rest = sums[: 1 + len(TOPS)], sums[1 + len(TOPS) :]
    support, predicted, correct = rest[: 3 * num_classes].reshape(3, num_classes, -1)
    total, gap = of_all[0], rest[3 * num_classes :]
    values = {f"top{top}": right / total for top, right in zip(TOPS, of_all[1:], strict=True)}
    present = support > 0
    recall = np.divide(correct, support, out=np.zeros_like(correct), where=present)
    values["mean_per_class"] = recall.sum(axis=0) / present.sum(axis=0)
    either = support + predicted > 0
    f1 = np.divide(2 * correct, support + predicted, out=np.zeros_like(correct), where=either)
    values["macro_f1"] = f1.sum(axis=0) / either.sum(axis=0)
    values["ece"] = np.abs(gap).sum(axis=0) / total
    return values
