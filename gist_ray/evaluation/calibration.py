"""What turns a head's logits into probabilities to act on: a temperature, and a threshold below
which a prediction is withheld. Both are chosen on val."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOG_TEMPERATURE_RANGE = (-4.0, 4.0)
"""Natural logarithms between which the temperature is searched: e^-4 to e^4."""

NEVER = 2.0
"""The threshold that no probability reaches."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that gives the labels the highest likelihood (Guo et al. 2017, section 4.2).

    logits: (num_images, num_classes), labels: (num_images,). Images of a class that the head
    cannot predict (logit -inf) tell nothing and are left out; 1 where no image is left.
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
    """The lowest threshold at which at least `target_accuracy` of the answered images are right;
    NEVER if there is none, 0 without images.

    confidence: (num_images,) probability of the predicted class; is_right: (num_images,) bool. An
    image is answered if its confidence is at least the threshold.
    """
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    ordered, right = confidence[order], np.cumsum(is_right[order])
    accuracy = right / np.arange(1, len(order) + 1)
    # images of equal confidence are answered together
    is_last_of_equals = np.append(ordered[:-1] != ordered[1:], True)
    good = np.flatnonzero((accuracy >= target_accuracy) & is_last_of_equals)
    if not len(good):
        return NEVER
    if good[-1] == len(order) - 1:
        return 0.0
    return float(ordered[good[-1]])
