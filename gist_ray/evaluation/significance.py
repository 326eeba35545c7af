"""What a difference with a known standard error could have shown, and Holm's correction where
several differences are looked at."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.optimize import brentq

POWER = 0.8
"""Share of studies that find a true difference of the size that is told."""


def detectable_difference(
    standard_error: float, *, confidence: float, num_units: int | None = None
) -> float | None:
    """Returns the smallest true difference that an interval of this `confidence` would exclude zero
    for in POWER of all such studies (the minimal detectable effect; Cohen 1988, chapter 2).

    num_units: the draws whose mean has this standard error, for Student's t; None for the normal
    distribution, as for a standard error from a bootstrap. Returns None if the standard error is
    0 or there is one unit: the spread is then unknown. The test is two-sided and the standard error
    is itself measured, so with two or three units the value is rough.
    """
    if not standard_error > 0 or num_units == 1:
        return None
    return _standard_errors(confidence, num_units) * standard_error


@lru_cache
def _standard_errors(confidence: float, num_units: int | None) -> float:
    """Returns the detectable difference in standard errors."""
    if num_units is None:
        return float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(POWER))
    degrees = num_units - 1
    critical = stats.t.ppf((1 + confidence) / 2, degrees)
    measured_variance = stats.chi2(degrees, scale=1 / degrees)

    def missing_power(multiple: float) -> float:
        # scipy's noncentral t, which would be the same, is NaN for two draws
        return POWER - float(
            measured_variance.expect(lambda v: stats.norm.sf(critical * np.sqrt(v) - multiple))
        )

    return float(brentq(missing_power, 0, 2 * critical + 2))


def p_value(mean: float, standard_error: float, *, num_units: int | None = None) -> float:
    """Returns the two-sided p-value of a difference against zero, by Student's t over `num_units`
    draws, or by the normal distribution if that is None.

    The normal tail of a bootstrap's standard error is our choice: the share of resamples beyond
    zero has no value between 0 and 1 / num_bootstrap, which a correction for many would need.
    """
    if not standard_error > 0:
        return float(mean == 0)
    of_ratio = stats.norm if num_units is None else stats.t(num_units - 1)
    return float(2 * of_ratio.sf(abs(mean) / standard_error))


def detectable_over_draws(values: np.ndarray, confidence: float) -> float | None:
    """Returns the detectable difference of the mean of `values` (num_draws,), one difference per
    draw, by Student's t."""
    if len(values) < 2:
        return None
    return detectable_difference(
        float(stats.sem(values)), confidence=confidence, num_units=len(values)
    )


def p_value_over_draws(values: np.ndarray) -> float | None:
    """Returns the p-value of the mean of `values` (num_draws,) by Student's t; None for one."""
    if len(values) < 2:
        return None
    return p_value(float(np.mean(values)), float(stats.sem(values)), num_units=len(values))


def holm_of_those(p_values: Sequence[float | None]) -> list[float | None]:
    """Returns `holm` of the p-values that are there, in place; None for the others, and for one
    that is alone."""
    there = [p for p in p_values if p is not None]
    if len(there) < 2:
        return [None] * len(p_values)
    adjusted = iter(holm(there))
    return [None if p is None else next(adjusted) for p in p_values]


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the adjusted p-values of Holm 1979, in the order of `p_values`: those below alpha are
    together false with a probability below alpha, however the comparisons depend on each other."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(np.array(p_values)[order] * factors)
    return [float(value) for value in np.minimum(adjusted, 1)]
