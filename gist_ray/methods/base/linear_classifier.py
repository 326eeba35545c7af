"""A linear classifier over image features: the result of every probe's fit, and of class
vectors."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LinearClassifier:
    """weight: (num_classes, dim), bias: (num_classes,), float64, for features of length
    `feature_scale`. A class that was not in the training set has bias -inf, so probability 0.
    c: the inverse regularisation strength, None for a classifier without one."""

    weight: np.ndarray
    bias: np.ndarray
    feature_scale: float
    c: float | None = None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim)."""
        return scaled(features, self.feature_scale) @ self.weight.T + self.bias


def scaled(features: np.ndarray, feature_scale: float) -> np.ndarray:
    """Returns `features` (num_images, dim) as float64 vectors of length `feature_scale`."""
    from sklearn.preprocessing import normalize  # slow to load, and --help loads this module

    features = features.astype(np.float64)
    return feature_scale * normalize(features) if len(features) else features


def widened(
    weight: np.ndarray, bias: np.ndarray, seen: np.ndarray, *, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weight (num_classes, dim) and bias (num_classes,) from those of the classes `seen`
    (num_seen,) in training; the others get bias -inf."""
    all_weights = np.zeros((num_classes, weight.shape[1]))
    all_biases = np.full(num_classes, -np.inf)
    all_weights[seen], all_biases[seen] = weight, bias
    return all_weights, all_biases


def by_cosine(class_vectors: np.ndarray, logit_scale: float) -> LinearClassifier:
    """Returns the classifier whose logits are cosines times `logit_scale`, CLIP's own after exp.

    class_vectors: (num_classes, dim), L2-normalised.
    """
    return LinearClassifier(
        class_vectors.astype(np.float64), np.zeros(len(class_vectors)), logit_scale
    )
