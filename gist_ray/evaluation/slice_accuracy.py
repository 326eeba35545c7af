"""The top-1 accuracy on slices over several draws, and its difference to that on all images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import bootstrap_weights, percentile_interval
from gist_ray.evaluation.metrics import ALL, Part
from gist_ray.evaluation.slices import MIN_IMAGES, Slice

MAX_WIDTH = 0.3
"""An interval wider than this says too little to compare slices by (our choice)."""


@dataclass(frozen=True)
class Estimate:
    """A mean over draws and images, with the hierarchical bootstrap interval and standard error of
    `intervals.paired_difference`."""

    mean: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True)
class SliceAccuracy:
    """accuracy: on the slice; difference: that minus the accuracy on all images of the test set,
    in the same resamples. Both are None where the images are too few to say: fewer than MIN_IMAGES,
    or an interval wider than MAX_WIDTH."""

    slice: Slice
    accuracy: Estimate | None
    difference: Estimate | None


def slice_accuracies(
    correct: np.ndarray, slices: Sequence[Slice], config: EvaluationConfig, *, seed: int
) -> list[SliceAccuracy]:
    """Returns the accuracy on each slice.

    correct: (num_seeds, num_images) bool, whether the image is classified right. seed: of the
    bootstrap, whose resamples of seeds and images serve all slices.
    """
    parts: list[Part] = [ALL, *(one.rows for one in slices if len(one.rows) >= MIN_IMAGES)]
    values = correct.astype(np.float64)
    num_seeds, num_images = values.shape
    rng = np.random.default_rng(seed)
    pieces = []
    for images in bootstrap_weights(num_images, config.num_bootstrap, rng):
        seeds = next(bootstrap_weights(num_seeds, images.shape[1], rng))
        pieces.append([_accuracy(values, part, images, seeds) for part in parts])
    of_all, *of_slices = np.concatenate(pieces, axis=1)
    mean_of_all = float(values.mean())
    resampled = iter(of_slices)
    found = []
    for one in slices:
        accuracy = difference = None
        if len(one.rows) >= MIN_IMAGES:
            mean, of_slice = float(values[:, one.rows].mean()), next(resampled)
            accuracy = _estimate(mean, of_slice, config)
            difference = _estimate(mean - mean_of_all, of_slice - of_all, config)
            if accuracy.high - accuracy.low > MAX_WIDTH:
                accuracy = difference = None
        found.append(SliceAccuracy(one, accuracy, difference))
    return found


def _accuracy(values: np.ndarray, part: Part, images: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Returns the accuracy on a part in each resample, (num_resamples,). images, seeds: how often
    each was drawn, (num_images, num_resamples) and (num_seeds, num_resamples)."""
    weights = images[part]
    right = ((values[:, part] @ weights) * seeds).sum(axis=0)
    share: np.ndarray = right / (len(values) * weights.sum(axis=0))
    return share


def _estimate(mean: float, resampled: np.ndarray, config: EvaluationConfig) -> Estimate:
    low, high = percentile_interval(resampled, config.confidence)
    return Estimate(mean, low, high, float(resampled.std()))
