"""GDA-CLIP: a Gaussian discriminant of the training images added to the zero-shot head.

Wang et al. 2024, "A hard-to-beat baseline for training-free CLIP-based adaptation"; mrflogs/ICLR24
main_few_shots.py. The reference fits ten augmented views of each image, ours the one that was
embedded; so with one image per class the covariance is zero and the zero-shot head stands alone.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.gaussian import gaussian_weights
from gist_ray.methods.base.images import bias_of_seen, require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS, TextHeadConfig, text_head
from gist_ray.methods.base.val_form import best_fit, val_form
from gist_ray.settings.declare import settings

GDA_ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@settings
class GdaConfig(TextHeadConfig):
    alpha: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the Gaussian log-posterior beside the zero-shot logits, 0 or more; 0 is zero-shot.
    The reference always searches it; 1, a product of the two posteriors, is our choice."""


@settings
class GdaValConfig(GdaConfig):
    alphas: Annotated[list[float], Field(min_length=1)] = Field(
        default_factory=lambda: list(GDA_ALPHAS)
    )
    """Values of alpha among which val chooses: the reference's."""


def fit(problem: Problem, config: GdaConfig) -> LinearClassifier:
    """Returns the classifier with logits s f.T + alpha (f W + b), of float64 features f of length
    1. A class without training image is never predicted. Raises UserError without training images,
    or for a class without text."""
    require_images(problem, "the Gaussian discriminant")
    train = problem.train
    weight, bias = gaussian_weights(scaled(train.features, 1.0), train.labels, problem.num_classes)
    head = problem.logit_scale * text_head(problem, config.text_set)
    return LinearClassifier(
        head + config.alpha * weight, config.alpha * bias + bias_of_seen(problem), 1.0
    )


def fit_on_val(problem: Problem, config: GdaValConfig) -> LinearClassifier:
    """Returns the classifier with the alpha that is best on val."""
    return best_fit(problem, fit, [replace(config, alpha=alpha) for alpha in config.alphas])


METHOD = Method(
    name="gda",
    label="GDA-CLIP",
    meaning="Gaussian classes of one covariance over the training images, plus zero-shot",
    source="Wang et al. 2024, section 3; mrflogs/ICLR24 main_few_shots.py",
    config=GdaConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=GdaValConfig, fit=fit_on_val)
