import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.zero_shot_best_texts import (
    BestTextsClassifier,
    ZeroShotBestTextsConfig,
    fit,
)
from tests.methods.made import problem

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((6, 5)).astype(np.float32)
TEXTS = RNG.standard_normal((9, 5)).astype(np.float32)
LABELS = np.array([0, 2, 1, 0, 0, 2, 0, 1, 0])


def scores(texts: np.ndarray, labels: np.ndarray, m: int) -> np.ndarray:
    return BestTextsClassifier(texts, labels, 3, m, 1.0).logits(IMAGES)


@pytest.mark.parametrize("m", [1, 2, 3, 50])
def test_the_score_is_the_mean_of_the_best_m_texts_of_the_class(m: int) -> None:
    for image, row in zip(IMAGES, scores(TEXTS, LABELS, m), strict=True):
        for label in range(3):
            best = sorted((float(image @ text) for text in TEXTS[label == LABELS]), reverse=True)
            assert row[label] == pytest.approx(np.mean(best[:m]), abs=1e-5)


def test_the_order_of_texts_does_not_matter() -> None:
    order = RNG.permutation(9)
    np.testing.assert_allclose(
        scores(TEXTS[order], LABELS[order], 2), scores(TEXTS, LABELS, 2), atol=1e-6
    )


def test_logits_are_scaled_scores() -> None:
    axes = np.eye(2, dtype=np.float32)
    texts = TextSet(["a", "b", "c"], np.stack([axes[0], axes[1], axes[0]]), np.array([0, 1, 1]))
    image = np.array([[0.6, 0.8]], np.float32)

    def odds(m: int) -> float:
        given = problem(num_classes=2, logit_scale=50.0, texts={"class": texts})
        found = fit(given, ZeroShotBestTextsConfig(m=m))
        first, second = probabilities_of(found, image)[0]
        return float(np.log(second / first))

    assert odds(1) == pytest.approx(10)
    assert odds(2) == pytest.approx(50 * (0.7 - 0.6), rel=1e-5)


def test_classes_without_texts_are_listed() -> None:
    texts = TextSet([""] * 9, TEXTS, LABELS)
    with pytest.raises(UserError, match=r"labels \[3\]"):
        fit(problem(num_classes=4, texts={"class": texts}), ZeroShotBestTextsConfig(m=1))


def test_no_text_is_no_mean() -> None:
    with pytest.raises(ValueError, match="m"):
        ZeroShotBestTextsConfig(m=0)
