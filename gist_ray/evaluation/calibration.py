"""Calibration of a classifier on val: the temperature of its logits, and the threshold of the
probability below which a prediction is withheld."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOG_TEMPERATURE_RANGE = (-4.0, 4.0)
"""Bounds of the natural logarithm of the temperature in its search: e^-4 to e^4."""

NEVER = 2.0
"""A threshold that no probability reaches."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature with the highest likelihood of the labels (Guo et al. 2017, section
    4.2).

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
        return -float(log_probabilities[np.arange(len(targets)), targets].mean())

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURE_RANGE, method="bounded")
    return float(np.exp(found.x))


def abstention_threshold(
    confidence: np.ndarray, is_right: np.ndarray, target_accuracy: float
) -> float:
    """Returns the lowest threshold at which the accuracy on the answered images is at least
    `target_accuracy`; NEVER if there is none, 0 without images.

    confidence: (num_images,) probability of the predicted class; is_right: (num_images,) bool. An
    image is answered if its confidence is at least the threshold.
    """
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    ordered, right = confidence[order], np.cumsum(is_right[order])
    accuracy = right / np.arange(1, len(order) + 1)
    # a threshold cannot separate images of equal confidence
    is_last_of_equals = np.append(ordered[:-1] != ordered[1:], True)
    good = np.flatnonzero((accuracy >= target_accuracy) & is_last_of_equals)
    if not len(good):
        return NEVER
    if good[-1] == len(order) - 1:
        return 0.0
    return float(ordered[good[-1]])
