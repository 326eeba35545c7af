import numpy as np
import pytest
from scipy import stats

from gist_ray.errors import UserError
from gist_ray.evaluation import intervals
from gist_ray.evaluation.intervals import (
    bootstrap_weights,
    metric_intervals,
    paired_difference,
    percentile_interval,
    seeds_interval,
)
from gist_ray.evaluation.metrics import ALL, METRIC_NAMES, compute_metrics, outcomes


def test_weights_are_resamples_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "WEIGHTS_AT_ONCE", 70)
    pieces = list(bootstrap_weights(20, 10, np.random.default_rng(0)))
    assert [piece.shape for piece in pieces] == [(20, 3), (20, 3), (20, 3), (20, 1)]
    weights = np.concatenate(pieces, axis=1)
    assert (weights.sum(axis=0) == 20).all()
    assert len(np.unique(weights, axis=1).T) == 10


def test_top1_interval_has_the_width_of_theory() -> None:
    correct = np.arange(500) % 4 > 0
    probabilities = np.where(correct[:, None], [0.6, 0.4], [0.4, 0.6])
    found = outcomes(probabilities, np.zeros(500, int))
    [ends] = metric_intervals(found, [ALL], num_bootstrap=2000, confidence=0.95, seed=0)
    low, high = ends["top1"]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 500)
    assert low == pytest.approx(0.75 - half, abs=0.006)
    assert high == pytest.approx(0.75 + half, abs=0.006)


def test_intervals_hold_the_value_and_depend_on_the_seed_only() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(6), size=300), rng.integers(6, size=300)
    found = outcomes(probabilities, labels)
    first, again, other = (
        metric_intervals(found, [ALL], num_bootstrap=200, confidence=0.95, seed=seed)[0]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    values = compute_metrics(probabilities, labels)
    for name in set(METRIC_NAMES) - {"ece"}:
        assert first[name][0] <= values[name] <= first[name][1]


def test_bootstrap_covers_the_truth_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        correct = rng.random(200) < 0.7
        means = np.concatenate(
            [weights.T @ correct / 200 for weights in bootstrap_weights(200, 300, rng)]
        )
        low, high = percentile_interval(means, 0.95)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 200 <= 0.985


def test_seeds_interval_is_students_t() -> None:
    values = np.array([0.61, 0.64, 0.70])
    low, high = seeds_interval(values, 0.95) or (0.0, 0.0)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert seeds_interval(values[:1], 0.95) is None
    assert seeds_interval(np.array([0.5, 0.5]), 0.95) == (0.5, 0.5)


def test_paired_difference_of_equal_methods_is_zero() -> None:
    correct = np.random.default_rng(0).random((3, 50)) < 0.7
    same = paired_difference(correct, correct, num_bootstrap=200, confidence=0.95, seed=0)
    assert (same.mean, same.low, same.high, same.seeds_interval) == (0, 0, 0, (0, 0))


def test_paired_difference_turns_its_sign_and_ignores_the_order() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((4, 80)) < 0.8, rng.random((4, 80)) < 0.6
    ab = paired_difference(a, b, num_bootstrap=500, confidence=0.95, seed=0)
    ba = paired_difference(b, a, num_bootstrap=500, confidence=0.95, seed=0)
    assert (ab.mean, ab.low, ab.high) == pytest.approx((-ba.mean, -ba.high, -ba.low))
    assert ab.mean == pytest.approx(a.mean() - b.mean())
    np.testing.assert_allclose(ab.per_seed, a.mean(axis=1) - b.mean(axis=1))
    order = rng.permutation(80)
    moved = paired_difference(a[:, order], b[:, order], num_bootstrap=500, confidence=0.95, seed=0)
    assert (moved.low, moved.high) == pytest.approx((ab.low, ab.high), abs=0.02)


def test_pairing_makes_the_interval_narrow() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.5
    a = np.tile(hard, (3, 1))
    b = a.copy()
    b[:, np.flatnonzero(hard)[:12]] = False
    found = paired_difference(a, b, num_bootstrap=500, confidence=0.95, seed=0)
    # unpaired, the half-width would be about 0.07
    assert found.mean == pytest.approx(12 / 400)
    assert 0 < found.low < found.mean < found.high < 0.05


def test_the_interval_holds_the_spread_of_seeds_and_of_images() -> None:
    num_images = 400
    a = np.zeros((4, num_images), bool)
    for row, share in zip(a, (0.5, 0.6, 0.7, 0.8), strict=True):
        row[: int(share * num_images)] = True
    nothing = np.zeros_like(a)
    with_seeds = paired_difference(a, nothing, num_bootstrap=2000, confidence=0.95, seed=0)
    without = paired_difference(
        np.tile(a[1], (4, 1)), nothing, num_bootstrap=2000, confidence=0.95, seed=0
    )
    images_only = 1.96 * np.sqrt(0.6 * 0.4 / num_images)
    assert (without.high - without.low) / 2 == pytest.approx(images_only, rel=0.15)
    assert (with_seeds.high - with_seeds.low) / 2 > 1.8 * images_only


@pytest.mark.parametrize("spread_of_seeds", [0.0, 0.05])
def test_the_hierarchical_interval_covers_at_least_about_as_promised(
    spread_of_seeds: float,
) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        gain = 0.05 + spread_of_seeds * rng.normal(size=(5, 1))
        a, b = rng.random((5, 100)) < 0.6 + gain, rng.random((5, 100)) < 0.6
        found = paired_difference(
            a, b, num_bootstrap=200, confidence=0.95, seed=int(rng.integers(1 << 30))
        )
        covered += found.low <= 0.05 <= found.high
    assert covered / 150 >= 0.92


def test_one_seed_has_images_only() -> None:
    rng = np.random.default_rng(0)
    one = paired_difference(
        rng.random((1, 90)) < 0.8,
        rng.random((1, 90)) < 0.5,
        num_bootstrap=300,
        confidence=0.95,
        seed=0,
    )
    assert one.seeds_interval is None
    assert one.low < one.mean < one.high


def test_different_shapes_are_an_error() -> None:
    with pytest.raises(UserError, match=r"shapes \(3, 5\) and \(2, 5\)"):
        paired_difference(
            np.zeros((3, 5), bool),
            np.zeros((2, 5), bool),
            num_bootstrap=10,
            confidence=0.95,
            seed=0,
        )


def test_many_images_are_drawn_kind_by_kind_with_the_same_spread(monkeypatch):
    rng = np.random.default_rng(5)
    a, b = rng.random((3, 400)) < 0.7, rng.random((3, 400)) < 0.6
    image_by_image = paired_difference(a, b, num_bootstrap=4000, confidence=0.9, seed=1)
    monkeypatch.setattr(intervals, "MAX_WEIGHTS", 400 * 4000 - 1)
    by_kind = paired_difference(a, b, num_bootstrap=4000, confidence=0.9, seed=1)
    assert (by_kind.low, by_kind.high) != (image_by_image.low, image_by_image.high)
    assert by_kind.mean == image_by_image.mean
    assert by_kind.low == pytest.approx(image_by_image.low, abs=0.004)
    assert by_kind.high == pytest.approx(image_by_image.high, abs=0.004)
