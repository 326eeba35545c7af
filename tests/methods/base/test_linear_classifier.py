import numpy as np
import pytest

from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine, scaled, widened
from gist_ray.methods.base.predictions import probabilities_of

IMAGE = np.array([[0.6, 0.8]], np.float32)
AXES = np.eye(2, dtype=np.float32)
PROBE = LinearClassifier(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.0, -np.inf]), 10.0)


def odds(probabilities: np.ndarray) -> float:
    return float(np.log(probabilities[0, 1] / probabilities[0, 0]))


def test_class_vectors_are_a_classifier_by_scaled_cosines() -> None:
    by_names = by_cosine(AXES, 50.0)
    assert odds(probabilities_of(by_names, IMAGE)) == pytest.approx(50 * 0.2)
    assert odds(probabilities_of(by_names, 3 * IMAGE)) == pytest.approx(50 * 0.2)


def test_a_class_that_training_lacked_is_never_predicted() -> None:
    assert probabilities_of(PROBE, IMAGE, temperature=3.0).tolist() == [[1.0, 0.0]]


def test_features_are_scaled_to_one_length() -> None:
    lengths = np.linalg.norm(scaled(np.array([[3.0, 4.0], [0.0, 0.1]]), 10.0), axis=1)
    np.testing.assert_allclose(lengths, 10)


def test_classes_that_were_not_seen_have_no_bias_that_could_win() -> None:
    weight, bias = widened(np.eye(2), np.zeros(2), np.array([0, 2]), num_classes=3)
    assert bias.tolist() == [0, -np.inf, 0]
    assert weight.tolist() == [[1, 0], [0, 0], [0, 1]]
