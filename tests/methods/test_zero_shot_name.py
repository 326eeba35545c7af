import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.zero_shot_name import ZeroShotNameConfig, fit
from tests.methods.made import problem

RNG = np.random.default_rng(0)
CONFIG = ZeroShotNameConfig()


def names_of(templates: np.ndarray) -> TextSet:
    """templates: (num_templates, num_classes, dim)"""
    num_templates, num_classes, dim = templates.shape
    labels = np.tile(np.arange(num_classes), num_templates)
    texts = [f"name {number}" for number in range(len(labels))]
    return TextSet(texts, templates.reshape(-1, dim), labels)


def test_names_are_averaged_over_templates_and_not_over_classes() -> None:
    templates = RNG.standard_normal((4, 3, 5))
    found = fit(problem(num_classes=3, texts={"names": names_of(templates)}), CONFIG)
    for label in range(3):
        mean = np.mean([prompt / np.linalg.norm(prompt) for prompt in templates[:, label]], axis=0)
        np.testing.assert_allclose(found.weight[label], mean / np.linalg.norm(mean))


def test_names_are_the_softmax_of_scaled_cosines() -> None:
    axes = names_of(np.eye(2, dtype=np.float32)[None])
    found = fit(problem(num_classes=2, logit_scale=50.0, texts={"names": axes}), CONFIG)
    image = np.array([[0.6, 0.8]], np.float32)
    (first, second), (cooler, warmer) = (
        probabilities_of(found, image, temperature)[0] for temperature in (1.0, 5.0)
    )
    assert np.log(second / first) == pytest.approx(50 * 0.2)
    assert np.log(warmer / cooler) == pytest.approx(2)


def test_a_class_whose_name_lacks_a_template_is_listed() -> None:
    templates = np.eye(2, dtype=np.float32)[None]
    with pytest.raises(UserError, match=r"names of 1 classes have no embedding.*labels \[2\]"):
        fit(problem(num_classes=3, texts={"names": names_of(templates)}), CONFIG)
    three = names_of(RNG.standard_normal((2, 3, 5)))
    lost = TextSet(three.texts[1:], three.features[1:], three.labels[1:])
    with pytest.raises(UserError, match=r"labels \[0\]"):
        fit(problem(num_classes=3, texts={"names": lost}), CONFIG)
