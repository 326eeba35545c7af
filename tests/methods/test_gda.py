from dataclasses import replace

import numpy as np

from gist_ray.methods.base.gaussian import gaussian_weights
from gist_ray.methods.base.linear_classifier import by_cosine, scaled
from gist_ray.methods.base.text_head import text_head
from gist_ray.methods.gda import GdaConfig, fit
from gist_ray.methods.gda_best_texts import GdaBestTextsConfig
from gist_ray.methods.gda_best_texts import fit as fit_over_best_texts
from gist_ray.methods.zero_shot_best_texts import ZeroShotBestTextsConfig
from gist_ray.methods.zero_shot_best_texts import fit as fit_best_texts
from tests.methods.made import LOGIT_SCALE, TEST, TRAIN, labelled, problem


def gaussian_logits() -> np.ndarray:
    weight, bias = gaussian_weights(scaled(TRAIN.features, 1.0), TRAIN.labels, 6)
    return scaled(TEST.features, 1.0) @ weight.T + bias


def test_logits_are_zero_shot_and_alpha_times_the_gaussian() -> None:
    for text_set in ("class", "names"):
        head = by_cosine(text_head(problem(), text_set), LOGIT_SCALE).logits(TEST.features)
        for alpha in (0.0, 0.5):
            config = GdaConfig(alpha=alpha, text_set=text_set)
            found = fit(problem(), config).logits(TEST.features)
            np.testing.assert_allclose(found, head + alpha * gaussian_logits(), atol=1e-6)


def test_over_best_texts_it_is_the_same_sum() -> None:
    texts = fit_best_texts(problem(), ZeroShotBestTextsConfig(m=2)).logits(TEST.features)
    found = fit_over_best_texts(problem(), GdaBestTextsConfig(m=2, alpha=0.5))
    np.testing.assert_allclose(
        found.logits(TEST.features), texts + 0.5 * gaussian_logits(), atol=1e-6
    )


def test_one_image_per_class_leaves_zero_shot() -> None:
    first = np.unique(TRAIN.labels, return_index=True)[1]
    given = problem(train=labelled(TRAIN.features[first], TRAIN.labels[first]))
    found = fit(given, GdaConfig()).logits(TEST.features)
    np.testing.assert_allclose(
        found, fit(problem(), replace(GdaConfig(), alpha=0.0)).logits(TEST.features)
    )


def test_a_class_without_image_is_never_predicted() -> None:
    kept = TRAIN.labels != 3
    given = problem(train=labelled(TRAIN.features[kept], TRAIN.labels[kept]))
    for found in (fit(given, GdaConfig()), fit_over_best_texts(given, GdaBestTextsConfig())):
        logits = found.logits(TEST.features)
        assert (logits[:, 3] == -np.inf).all()
        assert np.isfinite(np.delete(logits, 3, axis=1)).all()
