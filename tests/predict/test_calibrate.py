import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.problem import Split
from gist_ray.predict.calibrate import best_method, calibrate

LABELS = np.array([0, 0, 1, 1], np.int64)
VAL = Split(pa.array(list("abcd")), np.eye(2, dtype=np.float32)[LABELS], LABELS)


def classifier(right: float) -> LinearClassifier:
    """With so much more for the right class than for the other."""
    return LinearClassifier(right * np.eye(2), np.zeros(2), 1.0)


def test_the_highest_accuracy_wins_and_of_equal_ones_the_lower_log_loss() -> None:
    fitted = {"wrong": classifier(-9.0), "sure": classifier(9.0), "unsure": classifier(0.1)}
    assert best_method(fitted, VAL) == "sure"
    with pytest.raises(UserError, match="method=best needs val images"):
        best_method(fitted, Split.none())


def test_an_unsure_classifier_that_is_right_gets_a_low_temperature() -> None:
    found = calibrate(classifier(0.5), VAL, 0.95)
    assert found.temperature < 1
    assert found.on_val["log_loss"] < found.on_val["log_loss_uncalibrated"]
    assert found.on_val["num_images"] == 4
    assert found.on_val["answered"] == 1


def test_without_val_nothing_is_changed_or_withheld() -> None:
    found = calibrate(classifier(0.5), Split.none(), 0.95)
    assert (found.temperature, found.threshold, found.on_val) == (1, 0, {"num_images": 0})
