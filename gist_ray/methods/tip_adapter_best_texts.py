"""Tip-Adapter over best texts: its cache added to `zero_shot_best_texts`. The pair is ours."""

from dataclasses import dataclass, replace

import numpy as np

from gist_ray.methods.base.cache import CacheConfig, CacheGrid, choose_on_val, class_affinities
from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.val_form import val_form
from gist_ray.methods.zero_shot_best_texts import (
    BestTextsClassifier,
    ZeroShotBestTextsConfig,
)
from gist_ray.methods.zero_shot_best_texts import (
    fit as fit_texts,
)
from gist_ray.settings.declare import settings


@settings
class TipAdapterBestTextsConfig(CacheConfig, ZeroShotBestTextsConfig):
    """A cache beside the best texts."""


@settings
class TipAdapterBestTextsValConfig(CacheGrid, TipAdapterBestTextsConfig):
    """The same, with a grid; m is not searched."""


@dataclass(frozen=True)
class TipAdapterBestTextsClassifier(BestTextsClassifier):
    """keys: (num_keys, dim) float32, L2-normalised; key_labels: (num_keys,) int64."""

    keys: np.ndarray
    key_labels: np.ndarray
    alpha: float
    beta: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim),
        L2-normalised."""
        cache = class_affinities(
            features @ self.keys.T, self.key_labels, num_classes=self.num_classes, beta=self.beta
        )
        return super().logits(features) + self.alpha * cache


def fit(problem: Problem, config: TipAdapterBestTextsConfig) -> TipAdapterBestTextsClassifier:
    """Returns the classifier; a class without training image has its zero-shot logit. Raises
    UserError without training images, or for a class without text."""
    require_images(problem, "Tip-Adapter's cache")
    texts = fit_texts(problem, config)
    return TipAdapterBestTextsClassifier(
        **vars(texts),
        keys=problem.train.features,
        key_labels=problem.train.labels,
        alpha=config.alpha,
        beta=config.beta,
    )


def fit_on_val(
    problem: Problem, config: TipAdapterBestTextsValConfig
) -> TipAdapterBestTextsClassifier:
    """Returns the classifier with the alpha and beta that are best on val."""
    fitted = fit(problem, config)
    zero_shot = fit_texts(problem, config).logits(problem.val.features)
    alpha, beta = choose_on_val(problem, fitted.keys, config, zero_shot=zero_shot)
    return replace(fitted, alpha=alpha, beta=beta)


METHOD = Method(
    name="tip_adapter_best_texts",
    label="Tip-Adapter over best texts",
    meaning="the best texts plus the similarity to each training image, summed over its class",
    source="ours, with the cache of Zhang et al. 2022, section 3.1",
    config=TipAdapterBestTextsConfig,
    fit=fit,
    classifier=TipAdapterBestTextsClassifier,
    texts=("class",),
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=TipAdapterBestTextsValConfig, fit=fit_on_val)
