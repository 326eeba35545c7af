import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.zero_shot_texts import ZeroShotTextsConfig, fit
from tests.methods.made import LOGIT_SCALE, problem

RNG = np.random.default_rng(0)
TEXTS = TextSet(
    [f"text {number}" for number in range(9)],
    RNG.standard_normal((9, 5)).astype(np.float32),
    np.array([0, 2, 1, 0, 0, 2, 0, 1, 0]),
)
CONFIG = ZeroShotTextsConfig()


def test_a_class_is_the_mean_of_its_texts() -> None:
    found = fit(problem(num_classes=3, texts={"class": TEXTS}), CONFIG)
    image = RNG.standard_normal((1, 5)).astype(np.float32)
    image /= np.linalg.norm(image)
    for label in range(3):
        texts = TEXTS.features[label == TEXTS.labels]
        mean = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).mean(axis=0)
        cosine = (image @ (mean / np.linalg.norm(mean))).item()
        assert found.logits(image)[0, label] == pytest.approx(LOGIT_SCALE * cosine, abs=1e-4)


def test_classes_without_texts_are_listed() -> None:
    with pytest.raises(UserError, match=r"2 classes have no text: labels \[3, 4\]"):
        fit(problem(num_classes=5, texts={"class": TEXTS}), CONFIG)
