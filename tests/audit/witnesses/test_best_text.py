import numpy as np
import pytest

from gist_ray.audit.witnesses.best_text import judge
from gist_ray.methods.base.problem import TextSet
from tests.audit.drawn import manifest, vectors

TEXTS = TextSet(
    ["red", "dark red", "green"],
    np.array([[1, 0, 0], [0.8, 0, 0.6], [0, 1, 0]], np.float32),
    np.array([0, 0, 1]),
)


def test_the_best_text_of_another_class_speaks_against_the_label() -> None:
    features = vectors(np.array([[1, 0.1, 0], [0, 1, 0.1], [0.7, 0.1, 0.6], [0, 1, 0]]))
    images = manifest([{"label": 0}, {"label": 0}, {"label": 0}, {"label": 2}])
    table = judge(images, features, TEXTS, num_classes=3, logit_scale=10)
    # the class 2 has no text, and so no image of it is judged
    assert table["image_id"].to_pylist() == ["i0", "i1", "i2"]
    assert table["suggested"].to_pylist() == [0, 1, 0]
    scores = table["score"].to_pylist()
    assert scores[1] > 0.99
    assert scores[0] == pytest.approx(1 / (1 + np.exp(10 * (1 - 0.1) / np.sqrt(1.01))), rel=1e-4)
    assert scores[2] < 0.01
