"""A classifier that needs no run, and its predictions of images.

from gist_ray.predict.folder import load_classifier

classifier = load_classifier("classifiers/leaves")
print(classifier.predict("leaf.jpg"))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gist_ray.encoders.clip import Clip, embed_images, to_pixels
from gist_ray.images.decode import decode, fetch, to_rgb
from gist_ray.images.limits import ImageLimits
from gist_ray.matching.groups import LabelledFeatures
from gist_ray.matching.similarity import top_k
from gist_ray.matching.topk import match_topk
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Classifier as FittedClassifier
from gist_ray.methods.base.problem import Explaining, TextSet, explanations

TOP = 5


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image."""

    class_name: str
    label: int
    probability: float
    """Calibrated on val: of images with 0.8 about 80 % are right, as far as new images are like
    val."""
    abstained: bool
    """Whether the probability is below the threshold chosen on val; the rest stands anyway."""
    top5: list[tuple[str, float]]
    """(class name, probability), the likeliest first; all classes where there are fewer."""
    explanation: str | None
    """The text of the predicted class that fits the image best, or what the method says itself."""
    similarity: float | None
    """Cosine of image and text; None for what the method says."""


@dataclass(frozen=True)
class Classifier:
    """A model with the fitted classifier of one method. class_texts: None explains nothing; limits:
    of the image files that `predict` reads; about: where it comes from and how it did on val."""

    clip: Clip
    fitted: FittedClassifier
    method: str
    class_names: Sequence[str]
    class_texts: TextSet | None
    temperature: float
    threshold: float
    limits: ImageLimits
    about: dict[str, Any]

    def predict(self, image: str | Path | Image.Image) -> Prediction:
        """Returns the prediction of one image: a path, an s3:// URI or an opened picture.

        Raises ImageError where there are no pixels.
        """
        if isinstance(image, Image.Image):
            picture = to_rgb(image)
        else:
            limits = self.limits
            picture = decode(
                fetch(str(image), limits.max_bytes),
                limits.max_image_pixels,
                white_level=limits.white_level,
            )
        pixels = np.array(to_pixels(self.clip.preprocess)(picture))
        return predict_features(self, embed_images(self.clip, pixels[None]))[0]


def predict_features(classifier: Classifier, features: np.ndarray) -> list[Prediction]:
    """Returns one prediction per row of `features` (num_images, dim), L2-normalised, of the
    classifier's own image tower."""
    names = classifier.class_names
    probabilities = probabilities_of(classifier.fitted, features, classifier.temperature)
    ranked = top_k(probabilities, TOP)
    found: list[tuple[str | None, float | None]]
    if isinstance(classifier.fitted, Explaining):
        said = explanations(classifier.fitted, features, ranked[:, 0])
        found = [(text, None) for text in said]
    else:
        found = _best_texts(classifier.class_texts, features, ranked[:, 0])
    return [
        Prediction(
            class_name=names[labels[0]],
            label=int(labels[0]),
            probability=float(row[labels[0]]),
            abstained=bool(row[labels[0]] < classifier.threshold),
            top5=[(names[label], float(row[label])) for label in labels],
            explanation=text,
            similarity=similarity,
        )
        for row, labels, (text, similarity) in zip(probabilities, ranked, found, strict=True)
    ]


def _best_texts(
    texts: TextSet | None, features: np.ndarray, predicted: np.ndarray
) -> list[tuple[str | None, float | None]]:
    """Returns (text, similarity) of the text of each image's predicted class that is most similar
    to it; (None, None) where the class has no text."""
    found: list[tuple[str | None, float | None]] = [(None, None)] * len(predicted)
    if texts is None:
        return found
    with_texts = np.flatnonzero(np.isin(predicted, texts.labels))
    images = LabelledFeatures(features[with_texts], predicted[with_texts])
    best = match_topk(images, LabelledFeatures(texts.features, texts.labels), k=1)
    for place, index, similarity in zip(
        with_texts, best.text_index[:, 0], best.similarity[:, 0], strict=True
    ):
        found[place] = (texts.texts[index], float(similarity))
    return found
