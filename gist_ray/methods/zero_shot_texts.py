"""Zero-shot by texts: the mean of a class's texts against the image by cosine (CuPL)."""

from gist_ray.methods.base.class_mean import class_means, require_texts
from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings


@settings
class ZeroShotTextsConfig:
    """It has no settings."""


def fit(problem: Problem, config: ZeroShotTextsConfig) -> LinearClassifier:
    """Returns the classifier of the classes' mean texts. Raises UserError for a class without
    text."""
    texts = problem.texts["class"]
    require_texts(texts.labels, problem.num_classes)
    vectors = class_means(texts.features, texts.labels, problem.num_classes)
    return by_cosine(vectors, problem.logit_scale)


METHOD = Method(
    name="zero_shot_texts",
    label="zero-shot by texts",
    meaning="cosine of the image with the mean of the class's texts",
    source="Pratt et al. 2023 (CuPL), section 3",
    config=ZeroShotTextsConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("class",),
)
