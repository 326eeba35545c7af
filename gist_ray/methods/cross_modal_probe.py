"""The cross-modal probe: texts are further training examples of their class.

Lin et al. 2023, "Multimodality helps unimodality"; linzhiqiu/cross_modal_adaptation train.py. The
reference draws half of each batch from images and half from texts, and searches step size, decay,
batch and step on val. Ours minimises that loss to its optimum: logistic regression in which the
texts together weigh as much as the images, with L2 in the place of early stopping.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.logistic import LogisticConfig, Rows, best_c, logistic_fits
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS, TextHeadConfig, checked_texts
from gist_ray.methods.base.val_form import val_form
from gist_ray.settings.declare import settings


@settings
class CrossModalProbeConfig(LogisticConfig, TextHeadConfig):
    c: Annotated[float, Field(gt=0)] = 1.0
    """Inverse strength of L2, above 0. scikit-learn's default; our choice, for the reference always
    searches."""


@settings
class CrossModalProbeValConfig(CrossModalProbeConfig):
    num_search_steps: Annotated[int, Field(ge=0)] = 8
    """C is searched as by the linear probe: halvings of the range of log C around the best of the
    coarse grid, 0 or more."""


def fit(problem: Problem, config: CrossModalProbeConfig) -> LinearClassifier:
    """Returns the probe fitted on images and texts. A class without image is learned from its
    texts. Raises UserError without training images, or for a class without text."""
    return logistic_fits(_rows(problem, config), problem.num_classes, config)(config.c)


def fit_on_val(problem: Problem, config: CrossModalProbeValConfig) -> LinearClassifier:
    """Returns the probe with the C that is best on val."""
    fit_with = logistic_fits(_rows(problem, config), problem.num_classes, config)
    return best_c(fit_with, problem.val, config.num_search_steps)


def _rows(problem: Problem, config: CrossModalProbeConfig) -> Rows:
    require_images(problem, "the cross-modal probe")
    train, texts = problem.train, checked_texts(problem, config.text_set)
    num_images, num_texts = len(train.labels), len(texts.labels)
    return Rows(
        np.concatenate([scaled(train.features, 1.0), scaled(texts.features, 1.0)]),
        np.concatenate([train.labels, texts.labels]),
        np.repeat([1.0, num_images / num_texts], [num_images, num_texts]),
    )


METHOD = Method(
    name="cross_modal_probe",
    label="cross-modal probe",
    meaning="L2 logistic regression on the training images and, with as much weight, the texts",
    source="Lin et al. 2023, section 3; linzhiqiu/cross_modal_adaptation train.py",
    config=CrossModalProbeConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=CrossModalProbeValConfig, fit=fit_on_val)
