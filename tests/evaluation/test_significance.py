import numpy as np
import pytest
from scipy import stats

from gist_ray.evaluation.intervals import paired_difference, seeds_interval
from gist_ray.evaluation.significance import detectable_difference, holm, p_value


def test_four_in_five_bootstrap_intervals_exclude_zero_for_the_detectable_difference() -> None:
    rng = np.random.default_rng(0)
    num_images, share_b = 300, 0.6
    truth = 0.0
    for _ in range(5):  # the standard error depends a little on the difference itself
        share_a = share_b + truth
        variance = share_a * (1 - share_a) + share_b * (1 - share_b)
        truth = detectable_difference(np.sqrt(variance / num_images), confidence=0.95) or 0.0
    shown, told = 0, []
    for number in range(300):
        a = rng.random((1, num_images)) < share_b + truth
        b = rng.random((1, num_images)) < share_b
        found = paired_difference(a, b, num_bootstrap=300, confidence=0.95, seed=number)
        shown += found.low > 0
        told.append(detectable_difference(found.standard_error, confidence=0.95))
    assert shown / 300 == pytest.approx(0.8, abs=0.05)
    assert np.mean(told) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize("num_seeds", [2, 3, 5])
def test_four_in_five_intervals_over_draws_exclude_zero_for_it(num_seeds: int) -> None:
    truth = detectable_difference(1 / np.sqrt(num_seeds), confidence=0.95, num_units=num_seeds)
    assert truth is not None
    draws = np.random.default_rng(0).normal(truth, 1, (2000, num_seeds))
    ends = [seeds_interval(values, 0.95) or (0.0, 0.0) for values in draws]
    assert np.mean([low > 0 for low, _ in ends]) == pytest.approx(0.8, abs=0.03)


def test_more_draws_or_less_confidence_show_smaller_differences() -> None:
    def of(confidence: float, num_units: int | None) -> float:
        return detectable_difference(0.01, confidence=confidence, num_units=num_units) or 0.0

    assert of(0.95, None) == pytest.approx(0.01 * (1.95996 + 0.84162), rel=1e-4)
    assert of(0.9, None) < of(0.95, None) < of(0.95, 10) < of(0.95, 3) < of(0.95, 2)


def test_without_a_spread_nothing_is_said() -> None:
    assert detectable_difference(0.0, confidence=0.95) is None
    assert detectable_difference(np.nan, confidence=0.95, num_units=1) is None
    assert (p_value(0.0, 0.0), p_value(0.1, 0.0)) == (1.0, 0.0)


def test_p_values_are_those_of_the_t_test_and_of_the_normal_tail() -> None:
    values = np.array([0.01, 0.03, 0.02, 0.05])
    expected = stats.ttest_1samp(values, 0).pvalue
    assert p_value(values.mean(), stats.sem(values), num_units=4) == pytest.approx(expected)
    assert p_value(-1.959964, 1.0) == pytest.approx(0.05)


def test_holm_on_a_worked_example() -> None:
    """Of the smallest times 4, the next times 3, 2 and 1, each at least the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8, 0.7]) == [1, 1, 1]
    assert holm([0.02]) == [0.02]
