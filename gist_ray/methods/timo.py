"""TIMO: the images weigh the texts of their class, and the texts join the images' Gaussians.

Li et al. 2025, "Text and image are mutual beneficial"; utils.py image_guide_text and vec_sort,
models.py TIMO. The reference gives each class ten augmented views of its images and hand-written
templates before the generated sentences; ours gives it the images as they were embedded and the
texts of the class.
"""

from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import softmax

from gist_ray.methods.base.class_mean import class_means, require_texts
from gist_ray.methods.base.gaussian import gaussian_weights
from gist_ray.methods.base.images import bias_of_seen, require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem, TextSet
from gist_ray.methods.base.val_form import best_fit, val_form
from gist_ray.settings.declare import settings


@settings
class TimoConfig:
    gamma: Annotated[float, Field(ge=0)] = 50.0
    """How far the images decide the weights of their class's texts, 0 or more; 0 is their mean. The
    published value for most data sets; ImageNet has 1, Flowers 100."""

    alpha: Annotated[float, Field(ge=0)] = 1.0
    """What the zero-shot logits of the weighted texts count beside the Gaussian log-posterior, 0 or
    more. The reference always searches it; 1, a product of the two posteriors, is our choice."""


@settings
class TimoValConfig(TimoConfig):
    alphas: Annotated[list[float], Field(min_length=1)] = Field(
        default_factory=lambda: [10.0**power for power in range(-6, 3)]
    )
    """Values of alpha among which val chooses: the reference's, which count cosines, divided by
    CLIP's logit scale of 100."""


def fit(problem: Problem, config: TimoConfig) -> LinearClassifier:
    """Returns the classifier with logits alpha s f.T' + f W + b. A class without training image is
    never predicted. Raises UserError without training images, or for a class without text."""
    require_images(problem, "TIMO")
    train, num_classes = problem.train, problem.num_classes
    images = scaled(train.features, 1.0)
    table = text_table(problem.texts["class"], num_classes)
    prototypes = class_means(images, train.labels, num_classes)
    fit_of_text = np.einsum("cd,cpd->cp", prototypes, table)
    head = guided_texts(table, fit_of_text, config.gamma)
    # each text as one more row of its class, as long as it fits the images
    rows = (fit_of_text[:, :, None] * table).reshape(-1, table.shape[2])
    text_labels = np.repeat(np.arange(num_classes), table.shape[1])
    weight, bias = gaussian_weights(
        np.concatenate([rows, images]), np.concatenate([text_labels, train.labels]), num_classes
    )
    zero_shot = config.alpha * problem.logit_scale * head
    return LinearClassifier(zero_shot + weight, bias + bias_of_seen(problem), 1.0)


def text_table(texts: TextSet, num_classes: int) -> np.ndarray:
    """Returns (num_classes, num_texts, dim) float64, L2-normalised: the first texts of each class,
    as many as the class with the fewest has. Raises UserError for a class without text."""
    require_texts(texts.labels, num_classes)
    fewest = int(np.bincount(texts.labels).min())
    features = scaled(texts.features, 1.0)
    return np.stack([features[texts.labels == label][:fewest] for label in range(num_classes)])


def guided_texts(table: np.ndarray, fit_of_text: np.ndarray, gamma: float) -> np.ndarray:
    """Returns (num_classes, dim), L2-normalised: each class's texts weighted by the softmax of
    gamma times their `fit_of_text` (num_classes, num_texts), divided by its length over the
    texts."""
    lengths = np.linalg.norm(fit_of_text, axis=1, keepdims=True)
    weights = softmax(gamma * fit_of_text / np.where(lengths > 0, lengths, 1.0), axis=1)
    return scaled(np.einsum("cp,cpd->cd", weights, table), 1.0)


def fit_on_val(problem: Problem, config: TimoValConfig) -> LinearClassifier:
    """Returns the classifier with the alpha that is best on val."""
    return best_fit(problem, fit, [replace(config, alpha=alpha) for alpha in config.alphas])


METHOD = Method(
    name="timo",
    label="TIMO",
    meaning="texts weighted by the images of their class, plus Gaussian classes over both",
    source="Li et al. 2025; the reference's models.py TIMO",
    config=TimoConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("class",),
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=TimoValConfig, fit=fit_on_val)
