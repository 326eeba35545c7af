import numpy as np
import pytest

from gist_ray.report.sweep.factors import find_factors
from gist_ray.report.sweep.importance import importance
from gist_ray.report.sweep.scores import Measure, Score
from gist_ray.report.sweep.tables import Trial


def tiny_importance(rows):
    """rows: (params, seed, score)"""
    trials = [
        Trial(f"t{i}", "ok", "", params, seed, seed, {}, 0, 0.0, 0, 0, {})
        for i, (params, seed, _) in enumerate(rows)
    ]
    scores = {f"t{i}": Score(score) for i, (_, _, score) in enumerate(rows)}
    return importance(
        trials, find_factors(trials), Measure("val accuracy", True, "%", scores), confidence=0.95
    )


def tiny_grid(effect, num_seeds=3, noise=0.01):
    rng = np.random.default_rng(1)
    return [
        ({"a": a, "b": b}, seed, effect(a, b, seed) + rng.normal(0, noise))
        for a in (1, 2, 3, 4)
        for b in ("x", "y")
        for seed in range(num_seeds)
    ]


def test_shares_of_a_grid_are_those_of_its_effects():
    # variances of the effects: 0.0125 and 0.0025, so five parts to one
    found = tiny_importance(tiny_grid(lambda a, b, _: 0.1 * a + 0.1 * (b == "y"), noise=1e-4))
    shares = {share.key: share for share in found.shares}
    assert shares["a"].share == pytest.approx(5 / 6, abs=0.01)
    assert shares["b"].share == pytest.approx(1 / 6, abs=0.01)
    assert shares["unit"].share == pytest.approx(0, abs=0.01)
    assert [shares[key].told for key in ("a", "b", "unit")] == [True, True, False]
    assert [share.key for share in found.shares[:2]] == ["a", "b"]
    assert found.rest == pytest.approx(0, abs=0.01)


def test_the_luck_of_the_draw_is_a_factor():
    found = tiny_importance(tiny_grid(lambda a, b, seed: 0.1 * seed))
    assert found.shares[0].key == "unit"
    assert found.shares[0].share > 0.9


def test_interactions_are_left_to_the_rest():
    found = tiny_importance(tiny_grid(lambda a, b, _: 0.1 * (a % 2 == (b == "x"))))
    assert found.rest > 0.9


def test_noise_is_told_from_effects_about_as_rarely_as_promised(monkeypatch):
    monkeypatch.setattr("gist_ray.report.sweep.importance.NUM_BOOTSTRAP", 2)
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(40):
        rows = [({"a": a, "b": b}, 1, rng.normal()) for a in range(5) for b in range(5)]
        told += sum(share.told for share in tiny_importance(rows).shares)
    # 80 chances of one in twenty
    assert told < 12


def test_a_factor_that_goes_with_another_gets_no_share_of_its_effect():
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(80):
        a = int(rng.integers(4))
        b = a if rng.random() < 0.8 else int(rng.integers(4))
        rows.append(({"a": a, "b": b}, 1, 0.1 * a + rng.normal(0, 0.01)))
    shares = {share.key: share.share for share in tiny_importance(rows).shares}
    assert shares["b"] < 0.02 < shares["a"]


def test_intervals_hold_the_share():
    for share in tiny_importance(tiny_grid(lambda a, b, _: 0.02 * a, noise=0.03)).shares:
        assert 0 <= share.low <= share.share <= share.high <= 1


def test_too_few_trials_are_called_that():
    found = tiny_importance([({"a": a, "b": a * 2}, 1, 0.1 * a) for a in range(4)])
    assert (found.shares, found.num_trials, found.num_needed) == ([], 4, 10)


def test_how_many_it_takes_is_of_all_trials_once_they_have_a_score():
    trials = [
        Trial(f"t{i}", "not_run", "", {"a": i % 4}, i // 4, i // 4, {}, 0, 0.0, 0, 0, {})
        for i in range(12)
    ]
    found = importance(
        trials, find_factors(trials), Measure("val accuracy", True, "%", {}), confidence=0.95
    )
    assert (found.num_trials, found.num_needed) == (0, 1 + 3 + 2 + 3)


def test_equal_scores_and_nothing_varied_have_no_shares():
    assert tiny_importance(tiny_grid(lambda *_: 0.5, noise=0)).shares == []
    assert tiny_importance([({"a": 1}, 1, 0.5)] * 8).shares == []
    assert tiny_importance([]).shares == []
