"""The probe and the best texts together: the sum of their logits. The combination is ours.

Each is right where the other knows little: texts with few images, the probe with many.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.logistic import LogisticConfig, Rows, best_c, logistic_fits
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.val_form import best_on_val, val_form
from gist_ray.methods.zero_shot_best_texts import BestTextsClassifier, ZeroShotBestTextsConfig
from gist_ray.methods.zero_shot_best_texts import fit as fit_texts
from gist_ray.settings.declare import settings


@settings
class ProbeBestTextsConfig(LogisticConfig, ZeroShotBestTextsConfig):
    c: Annotated[float, Field(gt=0)] = 1.0
    """Inverse strength of the probe's L2, above 0. scikit-learn's default; our choice."""

    probe_weight: Annotated[float, Field(gt=0)] = 0.3
    """What the probe's logits count beside those of the texts, above 0. Our choice, of 0.1, 0.3 and
    1 on the embedded worlds 7 and 11."""


@settings
class ProbeBestTextsValConfig(ProbeBestTextsConfig):
    num_search_steps: Annotated[int, Field(ge=0)] = 8
    """C is searched as by the linear probe, for the probe alone: halvings of the range of log C
    around the best of the coarse grid, 0 or more."""

    probe_weights: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] = Field(
        default_factory=lambda: [0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
    )
    """Values of probe_weight among which val chooses, with that C. Our choice."""


@dataclass(frozen=True)
class TextsAndLinear(BestTextsClassifier):
    """The logits of best texts plus those of a linear classifier. weight: (num_classes, dim), bias:
    (num_classes,), float64, for features of length `feature_scale`."""

    weight: np.ndarray
    bias: np.ndarray
    feature_scale: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim),
        L2-normalised."""
        linear = LinearClassifier(self.weight, self.bias, self.feature_scale)
        return super().logits(features) + linear.logits(features)


def texts_and_linear(
    texts: BestTextsClassifier, linear: LinearClassifier, weight: float
) -> TextsAndLinear:
    """Returns the classifier of the texts' logits plus `weight` times the linear ones."""
    return TextsAndLinear(
        **vars(texts),
        weight=weight * linear.weight,
        bias=weight * linear.bias,
        feature_scale=linear.feature_scale,
    )


def fit(problem: Problem, config: ProbeBestTextsConfig) -> TextsAndLinear:
    """Returns the classifier; a class without training image is never predicted. Raises UserError
    without training images, or for a class without text."""
    require_images(problem, "the probe beside the texts")
    texts = fit_texts(problem, config)
    rows = Rows(problem.train.features, problem.train.labels)
    probe = logistic_fits(rows, problem.num_classes, config)(config.c)
    return texts_and_linear(texts, probe, config.probe_weight)


def fit_on_val(problem: Problem, config: ProbeBestTextsValConfig) -> TextsAndLinear:
    """Returns the classifier with the C that is best on val for the probe alone, and the weight
    that is best for the two together."""
    require_images(problem, "the probe beside the texts")
    texts, val = fit_texts(problem, config), problem.val
    rows = Rows(problem.train.features, problem.train.labels)
    fit_with = logistic_fits(rows, problem.num_classes, config)
    probe = best_c(fit_with, val, config.num_search_steps)
    of_texts, of_probe = texts.logits(val.features), probe.logits(val.features)
    weight = best_on_val(val, ((w, of_texts + w * of_probe) for w in config.probe_weights))
    return texts_and_linear(texts, probe, weight)


METHOD = Method(
    name="probe_best_texts",
    label="probe and best texts",
    meaning="the sum of the linear probe's logits and those of the best texts",
    source="ours",
    config=ProbeBestTextsConfig,
    fit=fit,
    classifier=TextsAndLinear,
    texts=("class",),
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=ProbeBestTextsValConfig, fit=fit_on_val)
