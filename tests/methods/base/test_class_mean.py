import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.class_mean import class_means, require_texts

RNG = np.random.default_rng(0)
TEXTS = RNG.standard_normal((9, 5)).astype(np.float32)
LABELS = np.array([0, 2, 1, 0, 0, 2, 0, 1, 0])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_class_is_the_normalised_mean_of_its_normalised_rows() -> None:
    means = class_means(TEXTS, LABELS, 3)
    for label in range(3):
        mean = np.mean([unit(text) for text in TEXTS[label == LABELS]], axis=0)
        np.testing.assert_allclose(means[label], unit(mean), atol=1e-6)


def test_a_class_without_a_row_is_zeros() -> None:
    means = class_means(TEXTS, LABELS, 4)
    assert means[3].tolist() == [0] * 5
    np.testing.assert_array_equal(means[:3], class_means(TEXTS, LABELS, 3))


def test_classes_without_texts_are_listed() -> None:
    require_texts(LABELS, 3)
    with pytest.raises(UserError, match=r"2 classes have no text: labels \[3, 4\]"):
        require_texts(LABELS, 5)
