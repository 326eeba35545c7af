"""Tip-Adapter: a cache of the training images added to the zero-shot head, without training.

Zhang et al. 2022, section 3.1; gaopengcuhk/Tip-Adapter main.py. The reference's keys are means of
ten augmented views; ours are the images as they were embedded.
"""

from dataclasses import dataclass, replace

import numpy as np

from gist_ray.methods.base.cache import CacheConfig, CacheGrid, choose_on_val, class_affinities
from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS, TextHeadConfig, text_head
from gist_ray.methods.base.val_form import val_form
from gist_ray.settings.declare import settings


@settings
class TipAdapterConfig(CacheConfig, TextHeadConfig):
    """A cache beside a zero-shot head."""


@settings
class TipAdapterValConfig(CacheGrid, TipAdapterConfig):
    """The same, with a grid."""


@dataclass(frozen=True)
class TipAdapterClassifier:
    """head: (num_classes, dim) and keys: (num_keys, dim), both float32, L2-normalised where they
    were not trained; key_labels: (num_keys,) int64; logit_scale: CLIP's own, after exp."""

    head: np.ndarray
    keys: np.ndarray
    key_labels: np.ndarray
    alpha: float
    beta: float
    logit_scale: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim),
        L2-normalised."""
        cache = class_affinities(
            features @ self.keys.T, self.key_labels, num_classes=len(self.head), beta=self.beta
        )
        zero_shot = self.logit_scale * (features @ self.head.T).astype(np.float64)
        return zero_shot + self.alpha * cache


def fit(problem: Problem, config: TipAdapterConfig) -> TipAdapterClassifier:
    """Returns the classifier; a class without training image has its zero-shot logit. Raises
    UserError without training images, or for a class without text."""
    require_images(problem, "Tip-Adapter's cache")
    return TipAdapterClassifier(
        head=text_head(problem, config.text_set).astype(np.float32),
        keys=problem.train.features,
        key_labels=problem.train.labels,
        alpha=config.alpha,
        beta=config.beta,
        logit_scale=problem.logit_scale,
    )


def fit_on_val(problem: Problem, config: TipAdapterValConfig) -> TipAdapterClassifier:
    """Returns the classifier with the alpha and beta that are best on val."""
    fitted = fit(problem, config)
    zero_shot = replace(fitted, alpha=0.0).logits(problem.val.features)
    alpha, beta = choose_on_val(problem, fitted.keys, config, zero_shot=zero_shot)
    return replace(fitted, alpha=alpha, beta=beta)


METHOD = Method(
    name="tip_adapter",
    label="Tip-Adapter",
    meaning="zero-shot plus the similarity to each training image, summed over its class",
    source="Zhang et al. 2022, section 3.1; gaopengcuhk/Tip-Adapter main.py",
    config=TipAdapterConfig,
    fit=fit,
    classifier=TipAdapterClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=TipAdapterValConfig, fit=fit_on_val)
