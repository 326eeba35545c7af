import numpy as np
import pytest

from gist_ray.methods.heads import BestTexts, ClassTexts, build_heads, probabilities_of
from gist_ray.methods.probe import Probe

IMAGE = np.array([[0.6, 0.8]], np.float32)
AXES = np.eye(2, dtype=np.float32)
PROBE = Probe(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.0, -np.inf]), 10.0, None)


def odds(probabilities: np.ndarray) -> float:
    return float(np.log(probabilities[0, 1] / probabilities[0, 0]))


def test_names_are_the_softmax_of_scaled_cosines() -> None:
    heads = build_heads(PROBE, None, AXES[None], 50.0, 1)
    assert heads.keys() == {"linear_probe", "zero_shot_name"}
    assert odds(probabilities_of(heads["zero_shot_name"], IMAGE)) == pytest.approx(50 * 0.2)


def test_best_texts_average_the_nearest_of_the_class() -> None:
    texts = ClassTexts(["a", "b", "c"], np.stack([AXES[0], AXES[1], AXES[0]]), np.array([0, 1, 1]))
    heads = build_heads(PROBE, texts, None, 50.0, 1)
    assert odds(probabilities_of(heads["zero_shot_best_texts"], IMAGE)) == pytest.approx(10)
    both = BestTexts(texts.features, texts.labels, 2, 2, 50.0)
    assert odds(probabilities_of(both, IMAGE)) == pytest.approx(50 * (0.7 - 0.6), rel=1e-5)


def test_temperature_divides_the_logits() -> None:
    head = build_heads(PROBE, None, AXES[None], 50.0, 1)["zero_shot_name"]
    assert odds(probabilities_of(head, IMAGE, temperature=5.0)) == pytest.approx(2)


def test_a_class_that_training_lacked_is_never_predicted() -> None:
    assert probabilities_of(PROBE, IMAGE, temperature=3.0).tolist() == [[1.0, 0.0]]
