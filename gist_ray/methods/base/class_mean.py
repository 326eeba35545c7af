"""One vector per class: the normalised mean of the normalised vectors of the class."""

import numpy as np

from gist_ray.errors import UserError


def class_means(features: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns class vectors (num_classes, dim), L2-normalised; of a class without a row, zeros.

    features: (num_rows, dim), labels: (num_rows,).
    """
    from sklearn.preprocessing import normalize  # slow to load, and --help loads this module

    rows = normalize(features)
    nothing = np.zeros(rows.shape[1], rows.dtype)
    means = [
        rows[labels == label].mean(axis=0) if (labels == label).any() else nothing
        for label in range(num_classes)
    ]
    return normalize(np.stack(means))


def require_texts(text_labels: np.ndarray, num_classes: int) -> None:
    """Raises UserError with the classes that have no text, if there are any."""
    missing = np.setdiff1d(np.arange(num_classes), text_labels).tolist()
    if missing:
        raise UserError(
            f"zero-shot by texts: {len(missing)} classes have no text: labels {missing}. Write or "
            "import texts for them, or loosen the checks that rejected theirs."
        )
