import numpy as np

from gist_ray.methods.zero_shot_each_text import ZeroShotEachTextConfig, fit
from tests.methods.made import CLASS_TEXTS, LOGIT_SCALE, TEST, problem


def test_a_class_scores_the_mean_cosine_of_its_texts() -> None:
    found = fit(problem(), ZeroShotEachTextConfig()).logits(TEST.features)
    cosines = TEST.features @ CLASS_TEXTS.features.T
    wanted = [cosines[:, CLASS_TEXTS.labels == label].mean(axis=1) for label in range(6)]
    np.testing.assert_allclose(found, LOGIT_SCALE * np.stack(wanted, axis=1), atol=1e-5)
