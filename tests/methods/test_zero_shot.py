import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.zero_shot import class_head, name_head, score_by_texts

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 5)).astype(np.float32)
TEXTS = RNG.standard_normal((9, 5)).astype(np.float32)
LABELS = np.array([0, 2, 1, 0, 0, 2, 0, 1, 0])


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_class_head_is_the_normalised_mean_of_normalised_texts() -> None:
    head = class_head(TEXTS, LABELS, 3)
    for label in range(3):
        mean = np.mean([unit(text) for text in TEXTS[label == LABELS]], axis=0)
        np.testing.assert_allclose(head[label], unit(mean), atol=1e-6)


def test_name_head_averages_templates_not_classes() -> None:
    templates = RNG.standard_normal((4, 3, 5))
    head = name_head(templates)
    for label in range(3):
        mean = np.mean([unit(prompt) for prompt in templates[:, label]], axis=0)
        np.testing.assert_allclose(head[label], unit(mean))


@pytest.mark.parametrize("m", [1, 2, 3, 50])
def test_score_is_the_mean_of_the_best_m_texts_of_the_class(m: int) -> None:
    scores = score_by_texts(IMAGES, TEXTS, LABELS, 3, m)
    for image, row in zip(IMAGES, scores, strict=True):
        for label in range(3):
            best = sorted((float(image @ text) for text in TEXTS[label == LABELS]), reverse=True)
            assert row[label] == pytest.approx(np.mean(best[:m]), abs=1e-5)


def test_order_of_texts_does_not_matter() -> None:
    order = RNG.permutation(9)
    np.testing.assert_allclose(
        score_by_texts(IMAGES, TEXTS[order], LABELS[order], 3, 2),
        score_by_texts(IMAGES, TEXTS, LABELS, 3, 2),
        atol=1e-6,
    )


def test_classes_without_texts_are_listed() -> None:
    with pytest.raises(UserError, match=r"2 classes have no text: labels \[3, 4\]"):
        class_head(TEXTS, LABELS, 5)
    with pytest.raises(UserError, match=r"labels \[3\]"):
        score_by_texts(IMAGES, TEXTS, LABELS, 4, 1)
