"""Paired differences between the values of a swept setting, world by world."""

import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.report.sweep.paired import markdown, paired_levels
from gist_ray.report.sweep.tables import Sweep, Trial

# (world, seed, k) -> accuracy of the linear probe; worlds differ far more than values of k
ACCURACY = {
    (1, 1, 1): 0.40, (1, 1, 3): 0.44, (1, 2, 1): 0.42, (1, 2, 3): 0.44,
    (2, 1, 1): 0.70, (2, 1, 3): 0.71, (2, 2, 1): 0.72, (2, 2, 3): 0.73,
    (3, 1, 1): 0.55, (3, 1, 3): 0.57, (3, 2, 1): 0.60, (3, 2, 3): 0.60,
}  # fmt: skip
FROZEN = 0.30


def trial(world: int, seed: int, k: int, shots: int = 5) -> Trial:
    return Trial(
        trial_id=f"{world}-{seed}-{k}-{shots}",
        status="ok",
        error="",
        params={"matching.k": k, "study.shots": shots},
        seed=seed,
        unit=world,
        val={},
        num_epochs=1,
        seconds=1.0,
        stages_made=1,
        stages_stored=0,
        seconds_by_group={},
    )


def metric(trial_id: str, features: str, method: str, value: float) -> dict[str, object]:
    return {
        "trial_id": trial_id,
        "features": features,
        "method": method,
        "split": "test",
        "metric": "top1",
        "value": value,
        "ci_low": None,
        "ci_high": None,
    }


@pytest.fixture
def sweep() -> Sweep:
    trials = [trial(*draw) for draw in ACCURACY]
    test = []
    for one, value in zip(trials, ACCURACY.values(), strict=True):
        test.append(metric(one.trial_id, "gist", "linear_probe", value))
        test.append(metric(one.trial_id, "frozen", "linear_probe", FROZEN))
        test.append(metric(one.trial_id, "gist", "zero_shot_best_texts", 0.9))
    return Sweep(info={"measure": "test"}, trials=trials, test=test)


def test_draws_are_paired_and_worlds_are_what_is_independent(sweep: Sweep) -> None:
    k1, k3 = paired_levels(sweep, "matching.k", "1")
    assert (k1.label, k3.label) == ("1", "3")
    assert k1.over_base is None
    assert k3.over_base is not None
    assert k3.over_base.by_unit == pytest.approx({1: 0.03, 2: 0.01, 3: 0.01})
    assert (k3.over_base.low, k3.over_base.high) == pytest.approx(
        seeds_interval(np.array([0.03, 0.01, 0.01]), 0.95)
    )
    assert (k3.over_base.num_above, k3.over_base.num_draws) == (5, 6)
    assert k3.accuracy == pytest.approx((0.44 + 0.72 + 0.585) / 3)
    assert k3.over_frozen is not None
    assert k3.over_frozen.mean == pytest.approx(k3.accuracy - FROZEN)


def test_only_draws_that_both_have_are_compared(sweep: Sweep) -> None:
    kept = [t for t in sweep.trials if t.trial_id not in ("1-1-3-5", "2-1-3-5", "2-2-3-5")]
    _, k3 = paired_levels(Sweep(sweep.info, kept, test=sweep.test), "matching.k", "1")
    assert k3.over_base is not None
    assert k3.over_base.by_unit == pytest.approx({1: 0.02, 3: 0.01})
    assert k3.over_base.num_draws == 3


def test_some_trials_may_be_left_out(sweep: Sweep) -> None:
    others = [trial(world, seed, k, shots=1) for world, seed, k in ACCURACY]
    test = [metric(one.trial_id, "gist", "linear_probe", 0.2) for one in others]
    both = Sweep(sweep.info, [*sweep.trials, *others], test=[*sweep.test, *test])
    everything = paired_levels(both, "matching.k", "1")[1].over_base
    five = paired_levels(both, "matching.k", "1", where={"study.shots": "5"})[1].over_base
    assert everything is not None
    assert five is not None
    assert everything.num_draws == 12
    assert five.num_draws == 6
    assert five.by_unit == pytest.approx({1: 0.03, 2: 0.01, 3: 0.01})


def test_another_head(sweep: Sweep) -> None:
    rows = paired_levels(sweep, "matching.k", "1", head="zero_shot_best_texts")
    assert [row.accuracy for row in rows] == pytest.approx([0.9, 0.9])
    assert rows[1].over_frozen is None
    assert rows[1].over_base is not None
    assert rows[1].over_base.num_above == 0


def test_the_table(sweep: Sweep) -> None:
    rows = paired_levels(sweep, "matching.k", "1")
    lines = markdown(rows, "matching.k", base="1", unit="world").splitlines()
    # Student's t over three worlds: 5.65 standard errors could have been shown
    of_one = "+26.5 [−10.8, +63.8]; could have shown 49.0; p 0.22 (Holm)"
    assert lines[2] == f"| 1 | 56.5 | {of_one} |  |  |  |"
    of_three = "+1.7 [−1.2, +4.5]; could have shown 3.8; p 0.22 (Holm)"
    assert lines[3].endswith(f"| {of_three} | +3.0 +1.0 +1.0 | 5 of 6 |")


@pytest.mark.parametrize(
    ("factor", "base", "says"),
    [
        ("matching.k", "7", "matching.k has no value 7; it has 1, 3"),
        ("matching.kk", "1", "no trial has .* matching.kk"),
    ],
)
def test_what_is_not_there_is_named(sweep: Sweep, factor: str, base: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        paired_levels(sweep, factor, base)
