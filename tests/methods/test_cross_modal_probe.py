import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.cross_modal_probe import CrossModalProbeConfig, fit
from tests.methods.made import CLASS_TEXTS, TEST, TRAIN, labelled, problem


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_texts_are_rows_that_together_weigh_as_much_as_the_images(c: float) -> None:
    rows = 10 * np.concatenate([TRAIN.features, CLASS_TEXTS.features]).astype(np.float64)
    labels = np.concatenate([TRAIN.labels, CLASS_TEXTS.labels])
    weights = np.repeat([1.0, 30 / 24], [30, 24])
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    wanted = model.fit(rows, labels, weights).predict_proba(10 * TEST.features.astype(np.float64))
    found = probabilities_of(fit(problem(), CrossModalProbeConfig(c=c)), TEST.features)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_class_without_image_is_learned_from_its_texts() -> None:
    kept = TRAIN.labels != 3
    given = problem(train=labelled(TRAIN.features[kept], TRAIN.labels[kept]))
    predicted = fit(given, CrossModalProbeConfig()).logits(TEST.features).argmax(axis=1)
    assert (predicted[TEST.labels == 3] == 3).mean() > 0.5
