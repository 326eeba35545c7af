import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest

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


@pytest.mark.parametrize("num_images", [1, 3, 10, 29])
def test_a_handful_never_makes_a_classifier_surer(num_images: int) -> None:
    """All right, although it is hardly sure: nothing is known of the next image."""
    labels = np.zeros(num_images, int)
    logits = np.tile([0.3, 0.0, 0.0], (num_images, 1))
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=1e-3)


def test_more_images_make_it_surer_by_and_by_and_doubt_counts_at_once() -> None:
    def of(num_images: int, right: bool) -> float:
        logits = np.tile([3.0, 0.0, 0.0], (num_images, 1))
        return fit_temperature(logits, np.full(num_images, 0 if right else 1))

    assert 1 > of(30, True) > of(100, True) > of(1000, True) > 0.05
    assert 1.5 < of(3, False) < of(10, False)


def wilson(num_right: int, num_images: int) -> float:
    found: float = binomtest(num_right, num_images).proportion_ci(0.8, "wilson").low
    return found


def test_threshold_is_the_lowest_whose_lower_bound_keeps_the_promise() -> None:
    """A block of 100 sure images that are right, then 100 of which every second is."""
    confidence = np.linspace(1, 0.5, 200)
    is_right = np.array([True] * 100 + [True, False] * 50)
    threshold = abstention_threshold(confidence, is_right, 0.9)
    answered = confidence >= threshold
    assert wilson(is_right[answered].sum(), answered.sum()) >= 0.9
    more = confidence >= confidence[answered.sum() + 2]
    assert wilson(is_right[more].sum(), more.sum()) < 0.9
    assert abstention_threshold(confidence, np.ones(200, bool), 0.95) == 0.0
    assert abstention_threshold(confidence, ~is_right, 0.9) == NEVER


def test_few_images_promise_nothing_however_right_they_are() -> None:
    def of(num_images: int) -> float:
        return abstention_threshold(np.full(num_images, 0.9), np.ones(num_images, bool), 0.95)

    assert [of(0), of(3), of(31)] == [NEVER, NEVER, NEVER]
    assert of(32) == 0.0


def test_equal_confidence_is_answered_together() -> None:
    confidence = np.array([0.9] * 50 + [0.7] * 50)
    is_right = np.array([True] * 75 + [False] * 25)
    assert abstention_threshold(confidence, is_right, 0.9) == 0.9
