"""The mean texts with pruned channels: ToT-MBP without its training.

Pu et al., BoweiPu/ToT-MBP single/trainers/text_cls.py: a channel of a text counts where it lies
more than 1.5 standard deviations off the mean of all channels of all texts; the mean sign of these
over a class's texts, made positive and compared among the classes by softmax, says which channels
are of the class. The share of entries above the quantile keeps its full size, others are scaled
down. The paper's training-free numbers come without code of their own: that its head is the mean
of the texts so masked is our reading.
"""

from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import softmax

from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine, scaled
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import checked_texts
from gist_ray.settings.declare import settings


@settings
class PrunedTextsConfig:
    deviations: Annotated[float, Field(ge=0)] = 1.5
    """Standard deviations off the mean from which a channel counts, 0 or more. The reference's."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Quantile of all entries of the mask up to which they are scaled down, 0 to 1. The
    reference's."""


def fit(problem: Problem, config: PrunedTextsConfig) -> LinearClassifier:
    """Returns the classifier of the masked mean texts by cosine. Raises UserError for a class
    without text."""
    texts = checked_texts(problem, "class")
    features = scaled(texts.features, 1.0)
    means = _class_averages(features, texts.labels, problem.num_classes)
    mask = channel_mask(features, texts.labels, num_classes=problem.num_classes, config=config)
    return by_cosine(scaled(means * mask, 1.0), problem.logit_scale)


def channel_mask(
    features: np.ndarray, labels: np.ndarray, *, num_classes: int, config: PrunedTextsConfig
) -> np.ndarray:
    """Returns (num_classes, dim) in 0..1: what each channel counts for each class.

    features: (num_texts, dim) float64, L2-normalised; labels: (num_texts,), some of every class.
    """
    off = features - features.mean()
    # of all entries, with their number less one, as torch's std
    limit = config.deviations * off.std(ddof=1)
    active = (off > limit).astype(np.float64) - (off < -limit)
    shares = softmax(np.abs(_class_averages(active, labels, num_classes)), axis=0)
    mask = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    mask[mask > np.quantile(mask, config.rate)] = 1.0
    return mask


def _class_averages(rows: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    sums = np.zeros((num_classes, rows.shape[1]))
    np.add.at(sums, labels, rows)
    return sums / np.bincount(labels, minlength=num_classes)[:, None]


METHOD = Method(
    name="pruned_texts",
    label="mean texts, pruned",
    meaning="cosine of the image with the class's mean text, few channels of which count in full",
    source="ToT-MBP, BoweiPu/ToT-MBP single/trainers/text_cls.py",
    config=PrunedTextsConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("class",),
)
