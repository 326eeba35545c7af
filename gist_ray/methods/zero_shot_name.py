"""Zero-shot by name: the class name in each template, averaged, against the image by cosine.

CoOp's zsclip.py: each prompt is normalised, prompts are averaged over templates, and the mean is
normalised.
"""

from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import text_head
from gist_ray.settings.declare import settings


@settings
class ZeroShotNameConfig:
    """It has no settings of its own: the templates are `prompts.zero_shot_templates`."""


def fit(problem: Problem, config: ZeroShotNameConfig) -> LinearClassifier:
    """Returns the template ensemble's classifier. Raises UserError for a class whose name lacks an
    embedding in a template."""
    return by_cosine(text_head(problem, "names"), problem.logit_scale)


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
