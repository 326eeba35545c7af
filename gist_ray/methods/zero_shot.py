"""Classifiers without training: class names or class texts against images, by cosine."""

import numpy as np
from sklearn.preprocessing import normalize

from gist_ray.errors import UserError


def name_head(template_features: np.ndarray) -> np.ndarray:
    """Class vectors (num_classes, dim), L2-normalised, of the template ensemble: normalise each
    prompt, average over templates, normalise (CoOp zsclip.py).

    template_features: (num_templates, num_classes, dim).
    """
    num_templates, num_classes, dim = template_features.shape
    prompts = normalize(template_features.reshape(-1, dim))
    return normalize(prompts.reshape(num_templates, num_classes, dim).mean(axis=0))


def class_head(text_features: np.ndarray, text_labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Class vectors (num_classes, dim), L2-normalised: the mean of the class's normalised texts.

    text_features: (num_texts, dim), text_labels: (num_texts,). Raises UserError if a class has no
    text.
    """
    _require_texts(text_labels, num_classes)
    texts = normalize(text_features)
    return normalize(
        np.stack([texts[text_labels == label].mean(axis=0) for label in range(num_classes)])
    )


def score_by_texts(
    image_features: np.ndarray,
    text_features: np.ndarray,
    text_labels: np.ndarray,
    num_classes: int,
    m: int,
) -> np.ndarray:
    """Scores (num_images, num_classes): the mean similarity of the image to the m texts of the
    class that fit it best; to all of them where a class has fewer.

    image_features: (num_images, dim), text_features: (num_texts, dim), L2-normalised;
    text_labels: (num_texts,). Raises UserError if a class has no text.
    """
    _require_texts(text_labels, num_classes)
    scores = np.empty((len(image_features), num_classes), np.float32)
    for label in range(num_classes):
        similarity = image_features @ text_features[text_labels == label].T
        worse = max(0, similarity.shape[1] - m)
        scores[:, label] = np.partition(similarity, worse, axis=1)[:, worse:].mean(axis=1)
    return scores


def _require_texts(text_labels: np.ndarray, num_classes: int) -> None:
    missing = np.setdiff1d(np.arange(num_classes), text_labels).tolist()
    if missing:
        raise UserError(
            f"zero-shot by texts: {len(missing)} classes have no text: labels {missing}. Write or "
            "import texts for them, or loosen the checks that rejected theirs."
        )
