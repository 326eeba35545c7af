import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Split
from gist_ray.methods.nearest_class_mean import NearestClassMeanConfig, fit
from tests.methods.made import LOGIT_SCALE, TEST, TRAIN, problem

CONFIG = NearestClassMeanConfig()


def without_class(images: Split, label: int) -> Split:
    kept = images.labels != label
    return Split(images.image_ids.filter(kept), images.features[kept], images.labels[kept])


def test_logits_are_scaled_cosines_to_the_means_of_train() -> None:
    found = fit(problem(), CONFIG)
    logits = found.logits(TEST.features)
    for label in range(6):
        mean = TRAIN.features[label == TRAIN.labels].astype(np.float64).mean(axis=0)
        cosine = TEST.features @ (mean / np.linalg.norm(mean))
        np.testing.assert_allclose(logits[:, label], LOGIT_SCALE * cosine, atol=1e-4)
    assert (logits.argmax(axis=1) == TEST.labels).mean() > 0.8


def test_neither_val_nor_texts_nor_the_seed_count() -> None:
    one, other = (
        fit(problem(), CONFIG),
        fit(problem(val=Split.none(), texts={}, seed=9), CONFIG),
    )
    np.testing.assert_array_equal(one.weight, other.weight)


def test_a_class_without_training_image_is_never_predicted() -> None:
    found = fit(problem(train=without_class(TRAIN, 2)), CONFIG)
    probabilities = probabilities_of(found, TEST.features)
    assert (probabilities[:, 2] == 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_last_class_may_be_the_one_without_training_image() -> None:
    found = fit(problem(train=without_class(TRAIN, 5)), CONFIG)
    assert found.logits(TEST.features).shape == (60, 6)
    assert (probabilities_of(found, TEST.features)[:, 5] == 0).all()


def test_no_training_image_is_an_error() -> None:
    with pytest.raises(UserError, match="no training image"):
        fit(problem(train=Split.none()), CONFIG)
