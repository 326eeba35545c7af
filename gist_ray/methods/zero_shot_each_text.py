"""Zero-shot by each text: the mean over a class's texts of their cosine with the image (DCLIP).

It differs from `zero_shot_texts` by the length of the mean text: a class whose texts disagree has
lower scores here.
"""

import numpy as np

from gist_ray.methods.base.class_mean import require_texts
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings


@settings
class ZeroShotEachTextConfig:
    """It has no settings."""


def fit(problem: Problem, config: ZeroShotEachTextConfig) -> LinearClassifier:
    """Returns the classifier of the mean cosines, scaled by CLIP's logit scale. Raises UserError
    for a class without text."""
    texts, num_classes = problem.texts["class"], problem.num_classes
    require_texts(texts.labels, num_classes)
    features = scaled(texts.features, 1.0)
    means = [features[texts.labels == label].mean(axis=0) for label in range(num_classes)]
    return LinearClassifier(np.stack(means), np.zeros(num_classes), problem.logit_scale)


METHOD = Method(
    name="zero_shot_each_text",
    label="zero-shot by each text",
    meaning="mean cosine of the image with the class's texts",
    source="Menon and Vondrick 2023 (DCLIP), section 2",
    config=ZeroShotEachTextConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("class",),
)
