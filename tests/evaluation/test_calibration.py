import numpy as np
import pytest
from scipy.special import softmax

from gist_ray.evaluation.calibration import NEVER, abstention_threshold, fit_temperature


def drawn(temperature: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax at a temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(4000, 5)) * 3
    chances = softmax(logits / temperature, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((4000, 1))).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.1)


def test_classes_that_cannot_be_predicted_do_not_count() -> None:
    logits, labels = drawn(2.0)
    logits[:, 4] = -np.inf
    kept = labels != 4
    assert fit_temperature(logits, labels) == fit_temperature(logits[kept], labels[kept])
    assert fit_temperature(logits, np.full(len(logits), 4)) == 1.0


def test_threshold_is_the_lowest_that_keeps_the_promise() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    is_right = np.array([True, True, False, True, False])
    assert abstention_threshold(confidence, is_right, 1.0) == 0.8
    assert abstention_threshold(confidence, is_right, 0.75) == 0.6
    assert abstention_threshold(confidence, is_right, 0.6) == 0.0
    assert abstention_threshold(confidence, ~is_right, 0.9) == NEVER


def test_equal_confidence_is_answered_together() -> None:
    confidence = np.array([0.9, 0.7, 0.7])
    assert abstention_threshold(confidence, np.array([True, True, False]), 1.0) == 0.9


def test_without_val_nothing_is_withheld() -> None:
    assert abstention_threshold(np.zeros(0), np.zeros(0, bool), 0.9) == 0.0
