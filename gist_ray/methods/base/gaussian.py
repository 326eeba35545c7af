"""Classes as Gaussians with one shared covariance: a linear classifier in closed form.

The ridge of GDA-CLIP (Wang et al. 2024; Kubokawa and Srivastava 2008): with n rows, D dimensions
and S the covariance within classes, the precision is D ((n-1) S + tr(S) I)^-1. Priors are equal.
"""

import numpy as np
import scipy.linalg


def gaussian_weights(
    rows: np.ndarray, labels: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weight (num_classes, dim) and bias (num_classes,), float64, of the log-posterior up
    to a constant; zeros for a class without row.

    rows: (num_rows, dim). Where no class has two different rows, the covariance is zero, and so
    are all weights: its pseudo-inverse, as in the reference.
    """
    rows = rows.astype(np.float64)
    num_rows, dim = rows.shape
    means = np.zeros((num_classes, dim))
    np.add.at(means, labels, rows)
    counts = np.bincount(labels, minlength=num_classes)
    means /= np.maximum(counts, 1)[:, None]
    within = rows - means[labels]
    scatter = within.T @ within
    trace = np.trace(scatter) / max(1, num_rows - 1)
    # equal rows leave a trace of rounding
    if trace <= np.finfo(np.float64).eps * dim:
        return np.zeros((num_classes, dim)), np.zeros(num_classes)
    scatter.flat[:: dim + 1] += trace
    weight = dim * scipy.linalg.solve(scatter, means.T, assume_a="pos").T
    return weight, -np.einsum("cd,cd->c", weight, means) / 2
