"""A linear classifier over frozen image features: what every probe's fit returns, and what class
vectors are."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax
from sklearn.preprocessing import normalize


@dataclass(frozen=True)
class Probe:
    """weight: (num_classes, dim), bias: (num_classes,), float64, for features of length
    `feature_scale`. A class that was not in the training set has bias -inf, so probability 0.
    c: the inverse regularisation strength, None for a probe without one."""

    weight: np.ndarray
    bias: np.ndarray
    feature_scale: float
    c: float | None


def scaled(features: np.ndarray, feature_scale: float) -> np.ndarray:
    """`features` (num_images, dim) as float64 vectors of length `feature_scale`."""
    features = features.astype(np.float64)
    return feature_scale * normalize(features) if len(features) else features


def widened(
    weight: np.ndarray,
    bias: np.ndarray,
    seen: np.ndarray,
    num_classes: int,
    feature_scale: float,
    c: float | None,
) -> Probe:
    """A probe over all classes from one over the classes `seen` (num_seen,) in training.

    weight: (num_seen, dim), bias: (num_seen,).
    """
    all_weights = np.zeros((num_classes, weight.shape[1]))
    all_biases = np.full(num_classes, -np.inf)
    all_weights[seen], all_biases[seen] = weight, bias
    return Probe(all_weights, all_biases, feature_scale, c)


def probe_logits(probe: Probe, features: np.ndarray) -> np.ndarray:
    """(num_images, num_classes) float64 of `features` (num_images, dim)."""
    return scaled(features, probe.feature_scale) @ probe.weight.T + probe.bias


def predict_proba(probe: Probe, features: np.ndarray) -> np.ndarray:
    """Probabilities (num_images, num_classes) of `features` (num_images, dim)."""
    return softmax(probe_logits(probe, features), axis=1)
