"""Nearest class mean: the mean training feature of each class against the image by cosine.

The simplest few-shot baseline (Mensink et al. 2013; SimpleShot's CL2N without centring).
"""

import numpy as np

from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.base.images import bias_of_seen, require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings


@settings
class NearestClassMeanConfig:
    """It has no settings."""


def fit(problem: Problem, config: NearestClassMeanConfig) -> LinearClassifier:
    """Returns the classifier of the classes' mean features, scaled by CLIP's logit scale; a class
    without training image is never predicted. Raises UserError without training images."""
    train = problem.train
    require_images(problem, "the nearest class mean")
    vectors = class_means(train.features, train.labels, problem.num_classes)
    return LinearClassifier(vectors.astype(np.float64), bias_of_seen(problem), problem.logit_scale)


METHOD = Method(
    name="nearest_class_mean",
    label="nearest class mean",
    meaning="cosine of the image with the mean feature of the class's training images",
    source="Mensink et al. 2013, section 3",
    config=NearestClassMeanConfig,
    fit=fit,
    classifier=LinearClassifier,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)
