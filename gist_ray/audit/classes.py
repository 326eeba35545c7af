"""Pairs of classes that cannot be told apart: by their names, their texts or their pictures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from scipy.stats import binomtest

from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.base.problem import TextSet
from gist_ray.schema import table

CLASS_PAIRS = pa.schema(
    [
        pa.field("label", pa.int32(), nullable=False),
        pa.field("other_label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("other_class_name", pa.string(), nullable=False),
        # names, class (texts), pictures
        pa.field("reasons", pa.list_(pa.string()), nullable=False),
        # cosine of the mean embeddings of names and of texts; null without such texts
        pa.field("names_similarity", pa.float64()),
        pa.field("texts_similarity", pa.float64()),
        # how often the probe, asked for one of the two, names the right one, with its 95 % interval
        # (Wilson's), of the images of both
        pa.field("accuracy", pa.float64()),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("num_images", pa.int64(), nullable=False),
    ]
)

SURELY_APART = 0.75
"""Accuracy between two classes from which an interval that holds chance means too few images, not
classes that look the same. Our choice."""

CHANCE = 0.5


def similar_classes(
    classes: Sequence[tuple[int, str]],
    wins: np.ndarray,
    texts: Mapping[str, TextSet],
    *,
    min_similarity: float,
) -> pa.Table:
    """Returns CLASS_PAIRS of the pairs with any reason, the least accurate first.

    wins: as `probe.Judged` has it. texts: {"names" or "class": their texts}. Names and texts are
    nearly equal from a cosine of `min_similarity`; pictures, if the interval of the accuracy holds
    chance and the accuracy is below SURELY_APART.
    """
    names = dict(classes)
    num_classes = len(wins)
    cosines = {name: _cosines(found, num_classes) for name, found in texts.items()}
    is_near = {name: found >= min_similarity for name, found in cosines.items()}
    accuracy, number = _accuracies(wins)
    is_near["pictures"] = accuracy < SURELY_APART
    low, high = np.nonzero(np.triu(np.any(list(is_near.values()), axis=0), k=1))
    rows = []
    for a, b in zip(low.tolist(), high.tolist(), strict=True):
        if a not in names or b not in names:
            continue
        interval = None
        if number[a, b]:
            right = round(accuracy[a, b] * number[a, b])
            interval = binomtest(right, int(number[a, b])).proportion_ci(method="wilson")
        reasons = [name for name in cosines if is_near[name][a, b]]
        if interval and is_near["pictures"][a, b] and interval.low <= CHANCE:
            reasons.append("pictures")
        if not reasons:
            continue
        rows.append(
            {
                "label": a,
                "other_label": b,
                "class_name": names[a],
                "other_class_name": names[b],
                "reasons": reasons,
                "names_similarity": _cell(cosines, "names", a, b),
                "texts_similarity": _cell(cosines, "class", a, b),
                "accuracy": float(accuracy[a, b]) if interval else None,
                "ci_low": interval.low if interval else None,
                "ci_high": interval.high if interval else None,
                "num_images": int(number[a, b]),
            }
        )
    rows.sort(key=lambda row: (row["accuracy"] is None, row["accuracy"], row["label"]))
    return table(rows, CLASS_PAIRS)


def _accuracies(wins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the accuracy between each two classes, and the number of images of both; of classes
    without an image the accuracy is 1 and the number 0."""
    images = np.diag(wins)
    number = images[:, None] + images[None, :]
    number = np.where((images[:, None] > 0) & (images[None, :] > 0), number, 0)
    right = wins + wins.T
    return np.divide(right, number, out=np.ones(wins.shape), where=number > 0), number


def _cosines(texts: TextSet, num_classes: int) -> np.ndarray:
    means = class_means(texts.features, texts.labels, num_classes).astype(np.float64)
    return means @ means.T


def _cell(cosines: Mapping[str, np.ndarray], name: str, a: int, b: int) -> float | None:
    return float(cosines[name][a, b]) if name in cosines else None
