"""A Gaussian discriminant of the images beside the best texts. The combination is ours.

It is GDA-CLIP (`gda`) with the best texts of a class in the place of their mean.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.gaussian import gaussian_weights
from gist_ray.methods.base.images import bias_of_seen, require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.val_form import best_fit, val_form
from gist_ray.methods.gda import GDA_ALPHAS
from gist_ray.methods.probe_best_texts import TextsAndLinear, texts_and_linear
from gist_ray.methods.zero_shot_best_texts import ZeroShotBestTextsConfig
from gist_ray.methods.zero_shot_best_texts import fit as fit_texts
from gist_ray.settings.declare import settings


@settings
class GdaBestTextsConfig(ZeroShotBestTextsConfig):
    alpha: Annotated[float, Field(gt=0)] = 0.1
    """Weight of the Gaussian log-posterior beside the texts' logits, above 0. Our choice, of 0.03,
    0.1, 0.3 and 1 on the embedded worlds 7 and 11."""


@settings
class GdaBestTextsValConfig(GdaBestTextsConfig):
    alphas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        default_factory=lambda: list(GDA_ALPHAS)
    )
    """Values of alpha among which val chooses: those of GDA-CLIP."""


def fit(problem: Problem, config: GdaBestTextsConfig) -> TextsAndLinear:
    """Returns the classifier; a class without training image is never predicted. Raises UserError
    without training images, or for a class without text."""
    require_images(problem, "the Gaussian discriminant")
    train = problem.train
    weight, bias = gaussian_weights(scaled(train.features, 1.0), train.labels, problem.num_classes)
    gaussian = LinearClassifier(weight, bias + bias_of_seen(problem), 1.0)
    return texts_and_linear(fit_texts(problem, config), gaussian, config.alpha)


def fit_on_val(problem: Problem, config: GdaBestTextsValConfig) -> TextsAndLinear:
    """Returns the classifier with the alpha that is best on val."""
    return best_fit(problem, fit, [replace(config, alpha=alpha) for alpha in config.alphas])


METHOD = Method(
    name="gda_best_texts",
    label="GDA and best texts",
    meaning="Gaussian classes of one covariance over the training images, plus the best texts",
    source="ours, with the Gaussian of Wang et al. 2024, section 3",
    config=GdaBestTextsConfig,
    fit=fit,
    classifier=TextsAndLinear,
    texts=("class",),
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=GdaBestTextsValConfig, fit=fit_on_val)
