from dataclasses import dataclass

import numpy as np
import pytest

from gist_ray.methods import METHODS
from gist_ray.methods.base.problem import Split
from gist_ray.methods.base.val_form import best_fit, best_on_val
from tests.methods.made import TEST, labelled, problem, unit

LABELS = np.array([0, 1, 1])
VAL = labelled(np.eye(3, dtype=np.float32), LABELS)
VAL_FORMS = [name for name in METHODS if name.endswith("_val")]


def logits(margin: float, num_right: int) -> np.ndarray:
    right = np.eye(2)[LABELS]
    right[num_right:] = 1 - right[num_right:]
    return margin * right


def test_the_most_accurate_is_chosen_then_the_lowest_log_loss_then_the_first() -> None:
    worse, sure, unsure = logits(0.1, 1), logits(5.0, 2), logits(1.0, 2)
    assert best_on_val(VAL, [("a", worse), ("b", sure), ("c", unsure)]) == "c"
    assert best_on_val(VAL, [("c", unsure), ("b", sure)]) == "c"
    assert best_on_val(VAL, [("x", unsure), ("y", unsure.copy())]) == "x"


def test_a_class_that_is_never_predicted_is_judged_without_a_warning() -> None:
    never = logits(1.0, 3)
    never[:, 0] = -np.inf
    assert best_on_val(VAL, [("never", never), ("all", logits(1.0, 3))]) == "all"


@dataclass(frozen=True)
class Fixed:
    found: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        assert features is VAL.features
        return self.found


def test_each_setting_is_fitted_and_judged() -> None:
    given = problem(val=VAL, num_classes=2)
    best = best_fit(given, lambda _, number: Fixed(logits(1.0, number)), [1, 3, 2])
    np.testing.assert_array_equal(best.found, logits(1.0, 3))


def test_a_val_form_is_the_method_of_its_name_and_says_that_it_needs_val() -> None:
    assert len(VAL_FORMS) > 5
    for name in VAL_FORMS:
        fixed, val = METHODS[name.removesuffix("_val")], METHODS[name]
        assert val.label == f"{fixed.label} (val)"
        assert "val" in val.needs
        assert "val" not in fixed.needs
        assert val.varies == {"shots", "seed"}
        assert (val.classifier, val.texts) == (fixed.classifier, fixed.texts)


@pytest.mark.parametrize("name", VAL_FORMS)
def test_without_val_images_it_is_the_fixed_form(name: str) -> None:
    given = problem(val=Split.none())
    fixed, val = METHODS[name.removesuffix("_val")], METHODS[name]
    np.testing.assert_array_equal(
        val.fit(given, val.config()).logits(TEST.features),
        fixed.fit(given, fixed.config()).logits(TEST.features),
    )


@pytest.mark.parametrize("name", VAL_FORMS)
def test_val_decides(name: str) -> None:
    """Val sets of random directions make different choices."""
    method, found = METHODS[name], set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        val = labelled(unit(rng.normal(size=(40, 12))), rng.integers(6, size=40))
        fitted = method.fit(problem(val=val), method.config())
        found.add(fitted.logits(TEST.features).tobytes())
    assert len(found) > 1
