"""Confidence intervals over the test set, over seeds, and of the difference of two methods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gist_ray.errors import UserError
from gist_ray.evaluation.metrics import METRIC_NAMES, Outcomes, Part, metrics_of_parts

MAX_WEIGHTS = 2**24
"""Most bootstrap weights of a paired difference that are drawn for each image separately."""
WEIGHTS_AT_ONCE = 2**20
"""Number of bootstrap weights in memory at once (8 bytes each), few enough for the cache."""


def bootstrap_weights(
    num_items: int, num_resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields how often each item is drawn in resamples of the same size, in pieces (num_items,
    some) that have `num_resamples` columns together."""
    step = max(1, WEIGHTS_AT_ONCE // num_items)
    for start in range(0, num_resamples, step):
        width = min(step, num_resamples - start)
        drawn = rng.integers(num_items, size=(width, num_items))
        drawn *= width
        drawn += np.arange(width)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=num_items * width)
        yield counts.reshape(num_items, width).astype(np.float64)


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Returns the ends of the central interval that covers the share `confidence` of bootstrap
    values (num_resamples,)."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def metric_intervals(
    found: Outcomes, parts: Sequence[Part], *, num_bootstrap: int, confidence: float, seed: int
) -> list[dict[str, tuple[float, float]]]:
    """Returns percentile intervals of all METRIC_NAMES for each part of the test images, from the
    same resamples of all of them.

    The trained model is fixed, so the intervals do not cover the draw of the training set.
    """
    rng = np.random.default_rng(seed)
    weights = bootstrap_weights(len(found.labels), num_bootstrap, rng)
    return [
        {name: percentile_interval(values[name], confidence) for name in METRIC_NAMES}
        for values in metrics_of_parts(found, parts, weights)
    ]


def seeds_interval(values: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """Returns Student's t interval of the mean of `values` (num_seeds,); None for one seed, whose
    spread is unknown."""
    if len(values) < 2:
        return None
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    return float(np.mean(values) - half), float(np.mean(values) + half)


@dataclass(frozen=True)
class PairedDifference:
    """The accuracy of method A minus that of B on the same draws and test images.

    mean: over seeds and images. low, high: the hierarchical bootstrap interval. standard_error: of
    the same bootstrap. seeds_interval: Student's t over the per-seed differences, None for one
    seed. per_seed: (num_seeds,).
    """

    mean: float
    low: float
    high: float
    standard_error: float
    seeds_interval: tuple[float, float] | None
    per_seed: np.ndarray
    num_images: int


def paired_difference(
    correct_a: np.ndarray,
    correct_b: np.ndarray,
    *,
    num_bootstrap: int,
    confidence: float,
    seed: int,
) -> PairedDifference:
    """Returns the difference of two methods on the same seeds and test images, with intervals.

    correct_a, correct_b: (num_seeds, num_images) bool, whether the image is classified right.
    The hierarchical interval is our choice: each resample draws seeds and, independently, test
    images with replacement (the pigeonhole bootstrap, Owen 2007). It counts the noise of single
    answers more than once and the variance over n seeds (n - 1) / n times. So it is too wide if the
    methods differ at random, and slightly too narrow if seeds differ much. The interval over seeds
    is reported beside it. Raises UserError if the shapes differ or the arrays are empty.
    """
    if correct_a.shape != correct_b.shape or correct_a.size == 0:
        raise UserError(
            f"paired difference: the methods have results of shapes {correct_a.shape} and "
            f"{correct_b.shape} (seeds, test images). Evaluate both on the same seeds and the same "
            "test images."
        )
    difference = correct_a.astype(np.float64) - correct_b
    num_seeds, num_images = difference.shape
    rng = np.random.default_rng(seed)
    values = []
    for sums in _resampled_sums(difference, num_bootstrap, rng):
        seeds = next(bootstrap_weights(num_seeds, sums.shape[1], rng))
        values.append((sums * seeds).sum(axis=0) / (num_seeds * num_images))
    resampled = np.concatenate(values)
    low, high = percentile_interval(resampled, confidence)
    per_seed = difference.mean(axis=1)
    return PairedDifference(
        float(per_seed.mean()),
        low,
        high,
        float(resampled.std()),
        seeds_interval(per_seed, confidence),
        per_seed,
        num_images,
    )


def _resampled_sums(
    difference: np.ndarray, num_resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields the sum over the images of each resample, for each seed, in pieces (num_seeds,
    some)."""
    num_images = difference.shape[1]
    if num_images * num_resamples <= MAX_WEIGHTS:
        for images in bootstrap_weights(num_images, num_resamples, rng):
            yield difference @ images
        return
    # Images with equal columns are one kind. The numbers of each kind in a resample are
    # multinomial, which gives the same distribution with one draw per kind, not per image.
    kinds, num_of_kind = np.unique(difference, axis=1, return_counts=True)
    counts = rng.multinomial(num_images, num_of_kind / num_images, size=num_resamples)
    yield kinds @ counts.T
