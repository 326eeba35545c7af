"""The linear probe: L2 logistic regression on frozen image features, C chosen on val.

The search is CoOp's (lpclip/linear_probe.py of KaiyangZhou/CoOp): seven values of C, then a binary
search in log C over the decade on each side of the best. Our choices: features are L2-normalised
and scaled; equal val accuracies, the rule in few-shot, are decided by the lower val log-loss and
then the smaller C, where CoOp takes the larger C on the grid and the smaller one after it; the
result is the best of all C tried, where CoOp takes the last step's. Each fit starts from zero, as
in CoOp, and ends at its optimum, so that its result does not depend on the C tried before.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.methods.probe import Probe, predict_proba, scaled, widened

COARSE_GRID = (1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6)

C_WITHOUT_VAL = 1.0
"""Used when there is no val image to choose by: scikit-learn's default. Our choice."""


def fit_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    num_classes: int,
    config: EvaluationConfig,
) -> Probe:
    """Fit on train, choose C on val.

    train_features: (num_train, dim), val_features: (num_val, dim); labels in 0..num_classes-1.
    num_val may be 0: then C is 1. There is no chance in it. Raises UserError without training
    images.
    """
    if not len(train_labels):
        raise UserError("the linear probe has no training image: check the split and the shots.")
    seen, targets = np.unique(train_labels, return_inverse=True)
    dim = train_features.shape[1]
    if len(seen) == 1:
        scale = config.feature_scale
        return widened(np.zeros((1, dim)), np.zeros(1), seen, num_classes, scale, None)

    inputs = scaled(train_features, config.feature_scale)
    # The intercept is not penalised, so features less their mean have the same optimum; L-BFGS
    # reaches it in a fifth of the steps, for CLIP's features share a large mean.
    mean = inputs.mean(axis=0)
    inputs -= mean

    def fit(c: float) -> Probe:
        with warnings.catch_warnings():
            # an unfinished fit is judged on val like any other
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(
                C=c, tol=_mean_tolerance(config.tol, len(targets), c), max_iter=config.max_iter
            ).fit(inputs, targets)
        weight, bias = model.coef_, model.intercept_ - model.coef_ @ mean
        if len(seen) == 2:
            # scikit-learn keeps one row for two classes: the log-odds of the second
            weight, bias = np.vstack([0 * weight, weight]), np.append(0.0, bias)
        return widened(weight, bias, seen, num_classes, config.feature_scale, c)

    if not len(val_labels):
        return fit(C_WITHOUT_VAL)

    tried: dict[float, tuple[tuple[float, float, float], Probe]] = {}

    def score(log_c: float) -> tuple[float, float, float]:
        if log_c not in tried:
            probe = fit(10**log_c)
            accuracy, log_loss = val_accuracy_and_loss(probe, val_features, val_labels)
            tried[log_c] = ((accuracy, -log_loss, -log_c), probe)
        return tried[log_c][0]

    peak = max((float(np.log10(c)) for c in COARSE_GRID), key=score)
    low, high = peak - 1, peak + 1
    for _ in range(config.num_search_steps):
        middle = (low + high) / 2
        low, high = (middle, high) if score(high) > score(low) else (low, middle)
    return max(tried.values(), key=lambda entry: entry[0])[1]


def _mean_tolerance(tol: float, num_rows: int, c: float) -> float:
    """scikit-learn's `tol` for `EvaluationConfig.tol`.

    Since version 1.4 (scikit-learn#26721, of 2023) scikit-learn bounds the gradient of
    mean loss + |weights|^2 / (2 C num_rows); before, that of num_rows times as much. It also ends a
    fit where a step lowers this objective by less than 64 roundings of float64, whatever `tol` is.
    """
    return tol / (num_rows * max(1.0, c))


def val_accuracy_and_loss(
    probe: Probe, val_features: np.ndarray, val_labels: np.ndarray
) -> tuple[float, float]:
    """Accuracy and mean log-loss; a val class that training lacks costs -log of the least float."""
    probabilities = predict_proba(probe, val_features)
    of_label = probabilities[np.arange(len(val_labels)), val_labels]
    log_loss = -np.log(np.maximum(of_label, np.finfo(np.float64).tiny)).mean()
    return float((probabilities.argmax(axis=1) == val_labels).mean()), float(log_loss)
