import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.evaluation.calibration import NEVER
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.problem import Split
from gist_ray.predict.calibrate import best_method, calibrate, warnings_of

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


def times(number: int) -> Split:
    features, labels = np.tile(VAL.features, (number, 1)), np.tile(VAL.labels, number)
    return Split(pa.array([str(n) for n in range(len(labels))]), features, labels)


def test_an_unsure_classifier_that_is_right_gets_a_low_temperature() -> None:
    found = calibrate(classifier(0.5), times(25), 0.95)
    assert found.temperature < 1
    assert found.on_val["log_loss"] < found.on_val["log_loss_uncalibrated"]
    assert found.on_val["num_images"] == 100
    assert found.on_val["answered"] == 1
    assert warnings_of(found.on_val, found.threshold) == []


def test_few_val_images_make_it_no_surer_and_let_nothing_pass() -> None:
    found = calibrate(classifier(0.5), VAL, 0.95)
    assert found.temperature == pytest.approx(1, abs=1e-3)
    assert found.on_val["answered"] == 0
    assert not found.on_val["is_calibrated"]
    few, never = warnings_of(found.on_val, found.threshold)
    assert few.startswith("Not calibrated: 4 val images are too few")
    assert never.startswith("It abstains on every image: 4 val images do not show")


def test_without_val_nothing_is_changed_or_promised() -> None:
    found = calibrate(classifier(0.5), Split.none(), 0.95)
    assert (found.temperature, found.threshold) == (1, NEVER)
    assert len(warnings_of(found.on_val, found.threshold)) == 2
