"""L2 logistic regression on features by L-BFGS, and CoOp's search of its C on val."""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.matching.side_by_side import one_blas_thread
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled, widened
from gist_ray.methods.base.predictions import accuracy_and_loss
from gist_ray.methods.base.problem import Split
from gist_ray.settings.declare import settings

COARSE_GRID = (1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6)

LARGEST_IN_ONE_THREAD = 10_000_000
"""Multiplications of the features with the weights, up to which BLAS gets one thread. Its threads
wait for each other at every product: 100 images of 128 numbers in 20 classes took 2.4 CPU seconds
in two threads and 0.3 in one (OpenBLAS, two CPUs, other work beside it)."""


@settings
class LogisticConfig:
    """The settings of every logistic probe."""

    feature_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """The probe sees L2-normalised features times this. With unit length the useful C leaves the
    searched range; 10 is near the length of CLIP's raw features. Our choice."""

    max_iter: Annotated[int, Field(ge=1)] = 1000
    """L-BFGS iterations for each C, 1 or more. CoOp's value."""

    tol: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-6
    """A fit ends where no component of the gradient of C x summed log-loss + |weights|^2 / 2
    exceeds this (this times C for C below 1); above 0. The weights are then about this close to
    their optimum, for any number of images and any C."""


@dataclass(frozen=True)
class Rows:
    """features: (num_rows, dim), scaled to length 1 or not; labels: (num_rows,); weights:
    (num_rows,) of their losses, None for 1 each."""

    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None


def logistic_fits(
    rows: Rows, num_classes: int, config: LogisticConfig
) -> Callable[[float], LinearClassifier]:
    """Returns the function that fits the probe with a C, each time from zero. A class without row
    is never predicted. There has to be a row."""
    # not for the help of its settings: scikit-learn brings pandas
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, targets = np.unique(rows.labels, return_inverse=True)
    if len(seen) == 1:
        zeros = np.zeros((1, rows.features.shape[1])), np.zeros(1)
        alone = widened(*zeros, seen, num_classes=num_classes)
        return lambda c: LinearClassifier(*alone, config.feature_scale)
    inputs = scaled(rows.features, config.feature_scale)

    # The intercept is not penalised, so features less their mean have the same optimum; L-BFGS
    # reaches it in a fifth of the steps, for CLIP's features share a large mean.
    mean = inputs.mean(axis=0)
    inputs -= mean
    total_weight = len(targets) if rows.weights is None else float(rows.weights.sum())

    def fit_with(c: float) -> LinearClassifier:
        is_small = inputs.size * len(seen) <= LARGEST_IN_ONE_THREAD
        with warnings.catch_warnings(), one_blas_thread() if is_small else nullcontext():
            # an unfinished fit is judged on val like any other
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(
                C=c, tol=_mean_tolerance(config.tol, total_weight, c), max_iter=config.max_iter
            ).fit(inputs, targets, rows.weights)
        weight, bias = model.coef_, model.intercept_ - model.coef_ @ mean
        if len(seen) == 2:
            # scikit-learn keeps one row for two classes: the log-odds of the second
            weight, bias = np.vstack([0 * weight, weight]), np.append(0.0, bias)
        return LinearClassifier(
            *widened(weight, bias, seen, num_classes=num_classes), config.feature_scale, c
        )

    return fit_with


def best_c(
    fit_with: Callable[[float], LinearClassifier], val: Split, num_search_steps: int
) -> LinearClassifier:
    """Returns the best probe on val of CoOp's search (lpclip/linear_probe.py): seven values of C,
    then a binary search in log C over the decade on each side of the best.

    Equal accuracies are decided by the lower log-loss and then the smaller C.
    """
    tried: dict[float, tuple[tuple[float, float, float], LinearClassifier]] = {}

    def score(log_c: float) -> tuple[float, float, float]:
        if log_c not in tried:
            probe = fit_with(10**log_c)
            accuracy, log_loss = accuracy_and_loss(probe, val)
            tried[log_c] = ((accuracy, -log_loss, -log_c), probe)
        return tried[log_c][0]

    peak = max((float(np.log10(c)) for c in COARSE_GRID), key=score)
    low, high = peak - 1, peak + 1
    for _ in range(num_search_steps):
        middle = (low + high) / 2
        low, high = (middle, high) if score(high) > score(low) else (low, middle)
    return max(tried.values(), key=lambda entry: entry[0])[1]


def _mean_tolerance(tol: float, total_weight: float, c: float) -> float:
    """Returns scikit-learn's `tol` for `LogisticConfig.tol`.

    Since version 1.4 (scikit-learn#26721, of 2023) scikit-learn bounds the gradient of
    mean loss + |weights|^2 / (2 C total weight); before, that of total_weight times as much. It
    also ends a fit where a step lowers this objective by less than 64 roundings of float64,
    whatever `tol` is.
    """
    return tol / (total_weight * max(1.0, c))
