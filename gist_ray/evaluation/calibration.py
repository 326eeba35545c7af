"""Calibration of a classifier on val: the temperature of its logits, and the threshold of the
probability below which a prediction is withheld."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOG_TEMPERATURE_RANGE = (-4.0, 4.0)
"""Bounds of the natural logarithm of the temperature in its search: e^-4 to e^4."""

PRIOR_OF_LOG_TEMPERATURE = 1.0
"""The standard deviation of a normal prior at temperature 1 (our choice). A handful of images, all
of them right, would otherwise make every probability 1; from a few hundred on it changes little."""

FEW_IMAGES = 30
"""With fewer images a classifier is not made surer of itself, and does not count as calibrated (our
choice)."""

Z_OF_LOWER_BOUND = 1.2816
"""One-sided 90 %."""

NEVER = 2.0
"""A threshold that no probability reaches."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the most probable temperature given the labels: the likelihood of Guo et al. 2017,
    section 4.2, times a prior around 1. It is at least 1 with fewer than FEW_IMAGES.

    logits: (num_images, num_classes), labels: (num_images,). Images of a class that the classifier
    cannot predict (logit -inf) are left out. Returns 1 if no image is left.
    """
    of_label = logits[np.arange(len(labels)), labels]
    known = np.isfinite(of_label)
    if not known.any():
        return 1.0
    kept, targets = logits[known], labels[known]

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(kept / np.exp(log_temperature), axis=1)
        of_targets = log_probabilities[np.arange(len(targets)), targets]
        return (log_temperature / PRIOR_OF_LOG_TEMPERATURE) ** 2 / 2 - float(of_targets.sum())

    low, high = LOG_TEMPERATURE_RANGE
    bounds = (low if len(targets) >= FEW_IMAGES else 0.0, high)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def abstention_threshold(
    confidence: np.ndarray, is_right: np.ndarray, target_accuracy: float
) -> float:
    """Returns the lowest threshold at which the accuracy on the answered images is at least
    `target_accuracy` by its lower bound (Wilson's, one-sided 90 %); NEVER if there is none, as
    without images.

    confidence: (num_images,) probability of the predicted class; is_right: (num_images,) bool. An
    image is answered if its confidence is at least the threshold.
    """
    order = np.argsort(-confidence, kind="stable")
    ordered, num_right = confidence[order], np.cumsum(is_right[order])
    bound = _lower_bound(num_right, np.arange(1, len(order) + 1))
    # a threshold cannot separate images of equal confidence
    is_last_of_equals = np.append(ordered[:-1] != ordered[1:], True)[: len(ordered)]
    good = np.flatnonzero((bound >= target_accuracy) & is_last_of_equals)
    if not len(good):
        return NEVER
    if good[-1] == len(order) - 1:
        return 0.0
    return float(ordered[good[-1]])


def _lower_bound(num_right: np.ndarray, num_images: np.ndarray) -> np.ndarray:
    """Returns Wilson's lower bound of shares (Brown, Cai, DasGupta 2001, section 3.1.1)."""
    share, z2 = num_right / num_images, Z_OF_LOWER_BOUND**2
    spread = np.sqrt(share * (1 - share) / num_images + z2 / (4 * num_images**2))
    middle = share + z2 / (2 * num_images)
    bound: np.ndarray = (middle - Z_OF_LOWER_BOUND * spread) / (1 + z2 / num_images)
    return bound
