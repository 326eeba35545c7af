"""Heads: from the features of images to the probabilities of classes, as plain arrays, so that one
can be measured, stored and used elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from gist_ray.methods.probe import Probe, probe_logits
from gist_ray.methods.zero_shot import class_head, name_head, score_by_texts

LINEAR_PROBE = "linear_probe"
ZERO_SHOT_NAME = "zero_shot_name"
ZERO_SHOT_TEXTS = "zero_shot_texts"
ZERO_SHOT_BEST_TEXTS = "zero_shot_best_texts"


@dataclass(frozen=True)
class ClassTexts:
    """texts: the sentences; features: (num_texts, dim) float32, L2-normalised, from the same model
    as the images; labels: (num_texts,)."""

    texts: Sequence[str]
    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class BestTexts:
    """A class scores the mean of its m texts most similar to the image. features, labels: as in
    ClassTexts; logit_scale: CLIP's own, after exp."""

    features: np.ndarray
    labels: np.ndarray
    num_classes: int
    m: int
    logit_scale: float


Head = Probe | BestTexts


def build_heads(
    probe: Probe,
    class_texts: ClassTexts | None,
    template_features: np.ndarray | None,
    logit_scale: float,
    best_texts_m: int,
) -> dict[str, Head]:
    """All heads of one model by name: the fitted probe and the zero-shot heads.

    template_features: (num_templates, num_classes, dim), the class names in their templates;
    logit_scale: CLIP's own, after exp. Without class_texts or template_features the heads that need
    them are left out. Raises UserError for a class without text.
    """
    num_classes = len(probe.weight)
    heads: dict[str, Head] = {LINEAR_PROBE: probe}
    if template_features is not None:
        heads[ZERO_SHOT_NAME] = _by_cosine(name_head(template_features), logit_scale)
    if class_texts is not None:
        features, labels = class_texts.features, class_texts.labels
        means = class_head(features, labels, num_classes)
        heads[ZERO_SHOT_TEXTS] = _by_cosine(means, logit_scale)
        heads[ZERO_SHOT_BEST_TEXTS] = BestTexts(
            features, labels, num_classes, best_texts_m, logit_scale
        )
    return heads


def logits_of(head: Head, features: np.ndarray) -> np.ndarray:
    """(num_images, num_classes) float64 from `features` (num_images, dim)."""
    if isinstance(head, Probe):
        return probe_logits(head, features)
    scores = score_by_texts(features, head.features, head.labels, head.num_classes, head.m)
    return head.logit_scale * scores.astype(np.float64)


def probabilities_of(head: Head, features: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(num_images, num_classes): the softmax of the logits divided by `temperature`."""
    return softmax(logits_of(head, features) / temperature, axis=1)


def _by_cosine(class_vectors: np.ndarray, logit_scale: float) -> Probe:
    """CLIP's zero-shot classifier as what it is, a linear one. class_vectors: (num_classes, dim),
    L2-normalised."""
    return Probe(
        class_vectors.astype(np.float64), np.zeros(len(class_vectors)), logit_scale, c=None
    )
