"""The cache model of Tip-Adapter: training images as keys, their classes as values."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.val_form import best_on_val
from gist_ray.settings.declare import settings


@settings
class CacheConfig:
    """The settings of every method with a cache."""

    alpha: Annotated[float, Field(ge=0)] = 1.17
    """Weight of the cache beside the zero-shot logits, 0 or more; 0 is zero-shot. Tip-Adapter's
    starting value for ImageNet; its other data sets have values of their own, 1.17 to 10."""

    beta: Annotated[float, Field(ge=0)] = 1.0
    """Sharpness, 0 or more: a key counts exp(-beta (1 - cosine)). Tip-Adapter's starting value."""


@settings
class CacheGrid:
    """The values among which val chooses."""

    alphas: Annotated[list[float], Field(min_length=1)] = Field(
        default_factory=lambda: [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    )
    """Values of alpha. Tip-Adapter tries 20 between 0.1 and a limit of each data set, 3 to 50; one
    grid for all data sets is our choice."""

    betas: Annotated[list[float], Field(min_length=1)] = Field(
        default_factory=lambda: [0.3, 1.0, 3.0, 10.0, 30.0]
    )
    """Values of beta. Tip-Adapter tries 200 between 0.1 and 7 to 50; the rest as for alpha."""


def class_affinities(
    similarity: np.ndarray, key_labels: np.ndarray, *, num_classes: int, beta: float
) -> np.ndarray:
    """Returns (num_images, num_classes) float64: the sum of exp(-beta (1 - cosine)) over the keys
    of each class, 0 for a class without.

    similarity: (num_images, num_keys) cosines; key_labels: (num_keys,).
    """
    places = np.arange(len(key_labels)), key_labels
    one_hot = csr_array((np.ones(len(key_labels)), places), shape=(len(key_labels), num_classes))
    affinity = np.exp(beta * (similarity - 1))
    scores: np.ndarray = affinity @ one_hot
    return scores


def choose_on_val(
    problem: Problem, keys: np.ndarray, grid: CacheGrid, *, zero_shot: np.ndarray
) -> tuple[float, float]:
    """Returns the (alpha, beta) of the grid that is best on val, beta in the outer loop.

    keys: (num_keys, dim), of the training images; zero_shot: logits (num_images, num_classes) on
    val.
    """
    similarity = problem.val.features @ keys.T

    def candidates() -> Iterator[tuple[tuple[float, float], np.ndarray]]:
        for beta in grid.betas:
            cache = class_affinities(
                similarity, problem.train.labels, num_classes=problem.num_classes, beta=beta
            )
            for alpha in grid.alphas:
                yield (alpha, beta), zero_shot + alpha * cache

    return best_on_val(problem.val, candidates())
