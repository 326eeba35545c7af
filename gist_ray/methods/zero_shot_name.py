"""Zero-shot by name: the class name in each template, averaged, against the image by cosine.

CoOp's zsclip.py: each prompt is normalised, prompts are averaged over templates, and the mean is
normalised.
"""

import numpy as np

from gist_ray.errors import UserError
from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings


@settings
class ZeroShotNameConfig:
    """It has no settings of its own: the templates are `prompts.zero_shot_templates`."""


def fit(problem: Problem, config: ZeroShotNameConfig) -> LinearClassifier:
    """Returns the template ensemble's classifier. Raises UserError for a class whose name lacks an
    embedding in a template: means over different templates cannot be compared."""
    names = problem.texts["names"]
    num_templates = np.bincount(names.labels, minlength=problem.num_classes)
    lacking = np.flatnonzero(num_templates < num_templates.max()).tolist()
    if lacking:
        raise UserError(
            f"zero-shot by name: the names of {len(lacking)} classes have no embedding in some "
            f"template: labels {lacking}. See errors.parquet of the names' embeddings."
        )
    vectors = class_means(names.features, names.labels, problem.num_classes)
    return by_cosine(vectors, problem.logit_scale)


METHOD = Method(
    name="zero_shot_name",
    label="zero-shot by name",
    meaning="cosine of the image with the class name in its templates, averaged",
    source="Radford et al. 2021, section 3.1.4; CoOp trainers/zsclip.py",
    config=ZeroShotNameConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("names",),
)
