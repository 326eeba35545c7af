"""Zero-shot by best texts: a class scores the mean of its m texts that fit the image best.

Ours: the mean of all texts blurs what GIST's matching keeps apart, the forms of a class.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.methods.base.class_mean import require_texts
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.val_form import best_fit, val_form
from gist_ray.settings.declare import settings


@settings
class ZeroShotBestTextsConfig:
    m: Annotated[int, Field(ge=1)] = 3
    """A class's score is the mean of its m texts most similar to the image, 1 or more; of all its
    texts where it has fewer."""


@settings
class ZeroShotBestTextsValConfig(ZeroShotBestTextsConfig):
    ms: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 2, 3, 5, 10, 20]
    )
    """Values of m among which val chooses. Our choice."""


@dataclass(frozen=True)
class BestTextsClassifier:
    """text_features: (num_texts, dim) float32, L2-normalised; text_labels: (num_texts,) int64;
    logit_scale: CLIP's own, after exp."""

    text_features: np.ndarray
    text_labels: np.ndarray
    num_classes: int
    m: int
    logit_scale: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim),
        L2-normalised."""
        scores = np.empty((len(features), self.num_classes), np.float32)
        for label in range(self.num_classes):
            similarity = features @ self.text_features[self.text_labels == label].T
            worse = max(0, similarity.shape[1] - self.m)
            scores[:, label] = np.partition(similarity, worse, axis=1)[:, worse:].mean(axis=1)
        return self.logit_scale * scores.astype(np.float64)


def fit(problem: Problem, config: ZeroShotBestTextsConfig) -> BestTextsClassifier:
    """Returns the classifier over all texts. Raises UserError for a class without text."""
    texts = problem.texts["class"]
    require_texts(texts.labels, problem.num_classes)
    return BestTextsClassifier(
        texts.features, texts.labels, problem.num_classes, config.m, problem.logit_scale
    )


def fit_on_val(problem: Problem, config: ZeroShotBestTextsValConfig) -> BestTextsClassifier:
    """Returns the classifier with the m that is best on val."""
    return best_fit(problem, fit, [replace(config, m=m) for m in config.ms])


METHOD = Method(
    name="zero_shot_best_texts",
    label="zero-shot by best texts",
    meaning="mean cosine of the image with the m texts of the class that fit it best",
    source="ours",
    config=ZeroShotBestTextsConfig,
    fit=fit,
    classifier=BestTextsClassifier,
    texts=("class",),
)

VAL = val_form(METHOD, config=ZeroShotBestTextsValConfig, fit=fit_on_val)
