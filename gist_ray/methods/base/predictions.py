"""Predictions of a classifier as PREDICTIONS rows."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from scipy.special import softmax

from gist_ray.errors import UserError
from gist_ray.evaluation.metrics import NO_IMAGE
from gist_ray.matching.groups import LabelledFeatures
from gist_ray.matching.similarity import top_k
from gist_ray.matching.topk import match_topk
from gist_ray.methods.base.problem import (
    Classifier,
    Explaining,
    Split,
    TextSet,
    explanations,
)
from gist_ray.schema import PREDICTIONS

TOP = 5


def predict_blocks(
    classifier: Classifier, blocks: Iterable[tuple[np.ndarray, Split]], texts: TextSet | None
) -> pa.Table:
    """Returns PREDICTIONS of the images of all blocks, in the order of their places.

    blocks: (places of the images among all, the images), in any order; only one is in memory at a
    time. texts: those that explain the predictions of a classifier that does not itself; None
    explains none of these. Raises UserError without images.
    """
    places, tables = [], []
    for place, images in blocks:
        places.append(place)
        tables.append(_predictions(classifier, images, texts))
    if not places:
        raise UserError(NO_IMAGE)
    order = pa.array(np.argsort(np.concatenate(places)))
    found = pa.concat_tables(tables).take(order)
    if not isinstance(classifier, Explaining):
        wording = pa.array([] if texts is None else texts.texts, pa.string())
        explanation = wording.take(found.column("explanation").combine_chunks())
        at = PREDICTIONS.get_field_index("explanation")
        found = found.set_column(at, PREDICTIONS.field(at), explanation)
    return found.cast(PREDICTIONS)


def predict_split(classifier: Classifier, images: Split, texts: TextSet | None) -> pa.Table:
    """Returns PREDICTIONS of the images of a split, none for none."""
    if not len(images.labels):
        return PREDICTIONS.empty_table()
    return predict_blocks(classifier, [(np.arange(len(images.labels)), images)], texts)


def probabilities_of(
    classifier: Classifier, features: np.ndarray, temperature: float = 1.0
) -> np.ndarray:
    """Returns (num_images, num_classes): the softmax of the logits divided by `temperature`."""
    return softmax(classifier.logits(features) / temperature, axis=1)


def accuracy_and_loss(classifier: Classifier, images: Split) -> tuple[float, float]:
    """Returns accuracy and mean log-loss on one image or more; a class that the classifier cannot
    predict costs -log of the least float."""
    return accuracy_and_loss_of(probabilities_of(classifier, images.features), images.labels)


def accuracy_and_loss_of(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the same for probabilities (num_images, num_classes) and labels (num_images,)."""
    of_label = probabilities[np.arange(len(labels)), labels]
    log_loss = -np.log(np.maximum(of_label, np.finfo(np.float64).tiny)).mean()
    return float((probabilities.argmax(axis=1) == labels).mean()), float(log_loss)


def _predictions(classifier: Classifier, images: Split, texts: TextSet | None) -> pa.Table:
    """Returns PREDICTIONS. Where the classifier does not explain them, `explanation` is the index
    of a text, which is replaced by its words once at the end."""
    probabilities = probabilities_of(classifier, images.features)
    # of equal probabilities the lower label comes first
    ranked = top_k(probabilities, TOP).astype(np.int32)
    num_images, num_ranked = ranked.shape
    if isinstance(classifier, Explaining):
        said = explanations(classifier, images.features, ranked[:, 0])
        explanation = pa.array(said, pa.string())
    else:
        explanation = _best_texts(images.features, ranked[:, 0], texts)
    starts = pa.array(np.arange(num_images + 1) * num_ranked, pa.int32())
    return pa.table(
        {
            "image_id": images.image_ids,
            "label": pa.array(images.labels, pa.int32()),
            "predicted": pa.array(ranked[:, 0]),
            "top5": pa.ListArray.from_arrays(starts, ranked.ravel()),
            "probability": pa.array(probabilities[np.arange(num_images), ranked[:, 0]]),
            "explanation": explanation,
        }
    )


def _best_texts(features: np.ndarray, predicted: np.ndarray, texts: TextSet | None) -> pa.Array:
    """Returns (num_images,) int32: the index of the text of the predicted class that is most
    similar to the image; null where there is none."""
    if texts is None:
        return pa.nulls(len(features), pa.int32())
    best = np.full(len(features), -1, np.int32)
    explained = np.flatnonzero(np.isin(predicted, texts.labels))
    images = LabelledFeatures(features[explained], predicted[explained])
    found = match_topk(images, LabelledFeatures(texts.features, texts.labels), k=1)
    best[explained] = found.text_index[:, 0]
    return pa.array(best, mask=best < 0)
