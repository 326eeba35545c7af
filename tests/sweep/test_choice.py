"""The choice by val, over seeds and shots."""

from gist_ray.sweep.choice import choose
from gist_ray.sweep.config import SweepConfig
from gist_ray.sweep.tables import Row

SWEEP = SweepConfig(space={"matching.k": [1, 3], "study.seeds": [1, 2]})


def row(k: int, seed: int, loss: float | None, accuracy: float = 0.5, status: str = "ok") -> Row:
    return {
        "trial_id": f"{k}-{seed}",
        "status": status,  # type: ignore[typeddict-item]
        "params": {"matching.k": k, "study.seeds": seed},
        "val_log_loss": loss,
        "val_accuracy": accuracy,
    }


def test_the_mean_over_seeds_decides_not_the_best_trial() -> None:
    rows = [row(1, 1, 0.1), row(1, 2, 0.9), row(3, 1, 0.4), row(3, 2, 0.4)]
    found = choose(SWEEP, rows)
    assert found is not None
    assert found[0] == {"matching.k": 3}
    assert found[1] == rows[2:]


def test_accuracy_is_better_when_higher() -> None:
    by_accuracy = SweepConfig(space=dict(SWEEP.space), metric="val_accuracy")
    rows = [row(1, 1, 0.1, 0.8), row(1, 2, 0.1, 0.8), row(3, 1, 0.1, 0.7), row(3, 2, 0.1, 0.7)]
    found = choose(by_accuracy, rows)
    assert found is not None
    assert found[0] == {"matching.k": 1}


def test_a_configuration_of_which_a_trial_failed_or_was_stopped_is_not_chosen() -> None:
    for status in ("failed", "stopped", "not_run"):
        rows = [row(1, 1, 0.1), row(1, 2, None, status=status), row(3, 1, 0.4), row(3, 2, 0.4)]
        found = choose(SWEEP, rows)
        assert found is not None
        assert found[0] == {"matching.k": 3}
    assert choose(SWEEP, [row(1, 1, None, status="failed")]) is None


def test_of_equals_the_first_is_taken() -> None:
    rows = [row(3, 1, 0.4), row(3, 2, 0.4), row(1, 1, 0.4), row(1, 2, 0.4)]
    found = choose(SWEEP, rows)
    assert found is not None
    assert found[0] == {"matching.k": 3}
