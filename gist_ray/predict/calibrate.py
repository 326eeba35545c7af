"""The choice of a method and its calibration, on the val images alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from gist_ray.errors import UserError
from gist_ray.evaluation.calibration import (
    FEW_IMAGES,
    NEVER,
    abstention_threshold,
    fit_temperature,
)
from gist_ray.evaluation.metrics import compute_metrics
from gist_ray.methods.base.predictions import accuracy_and_loss
from gist_ray.methods.base.problem import Classifier, Split


@dataclass(frozen=True)
class Calibration:
    """temperature: divides the logits; threshold: the probability below which a prediction is
    withheld; on_val: how the classifier does on val with them, as plain values."""

    temperature: float
    threshold: float
    on_val: dict[str, Any]


def best_method(fitted: Mapping[str, Classifier], val: Split) -> str:
    """Returns the method with the highest accuracy on val, of equal ones the lower log-loss.

    fitted: {method: its classifier}. Raises UserError without val images.
    """
    if not len(val.labels):
        raise UserError("method=best needs val images and the run has none. Name a method.")

    def goodness(name: str) -> tuple[float, float]:
        accuracy, log_loss = accuracy_and_loss(fitted[name], val)
        return accuracy, -log_loss

    return max(fitted, key=goodness)


def calibrate(fitted: Classifier, val: Split, target_accuracy: float) -> Calibration:
    """Returns the temperature by the log-loss on val, and the threshold above which at least the
    share `target_accuracy` is right, by a lower bound. With few val images neither promises much:
    `is_calibrated` is false, and the threshold is one that no probability reaches."""
    if not len(val.labels):
        return Calibration(1.0, NEVER, {"num_images": 0, "is_calibrated": False})
    logits = fitted.logits(val.features)
    temperature = fit_temperature(logits, val.labels)
    probabilities = softmax(logits / temperature, axis=1)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == val.labels
    threshold = abstention_threshold(confidence, is_right, target_accuracy)
    answered = confidence >= threshold
    return Calibration(
        temperature,
        threshold,
        {
            "num_images": len(val.labels),
            "is_calibrated": len(val.labels) >= FEW_IMAGES,
            "target_accuracy": target_accuracy,
            "log_loss": _log_loss(logits, val.labels, temperature),
            "log_loss_uncalibrated": _log_loss(logits, val.labels, 1.0),
            "answered": float(answered.mean()),
            "accuracy_of_answered": float(is_right[answered].mean()) if answered.any() else None,
            **compute_metrics(probabilities, val.labels),
        },
    )


def warnings_of(on_val: Mapping[str, Any], threshold: float) -> list[str]:
    """Returns lines on what the calibration of an exported classifier cannot promise.

    on_val, threshold: of its Calibration.
    """
    images = f"{on_val['num_images']:,} val images"
    lines = []
    if not on_val.get("is_calibrated", True):
        lines.append(
            f"Not calibrated: {images} are too few to say how sure it is ({FEW_IMAGES} are the "
            "least); probabilities may be far too high."
        )
    if threshold >= NEVER:
        lines.append(
            f"It abstains on every image: {images} do not show that any of its answers reach the "
            "accuracy that was asked for. Set predict's threshold to choose one yourself."
        )
    return lines


def _log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Returns the mean over the images; an image of a class that cannot be predicted costs -log of
    the smallest float."""
    chances = softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chances, np.finfo(np.float64).tiny)).mean())
