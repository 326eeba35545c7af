"""All heads of one trained model on one draw: metrics with intervals, and test predictions.

Whatever is chosen is chosen on val; test is only read to measure what is already fixed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import metric_intervals
from gist_ray.evaluation.metrics import (
    METRIC_NAMES,
    NO_IMAGE,
    Outcomes,
    join_outcomes,
    outcomes,
    weighted_metrics,
)
from gist_ray.matching.topk import match_topk
from gist_ray.methods.heads import ClassTexts, build_heads, probabilities_of
from gist_ray.methods.linear_probe import fit_probe, val_accuracy_and_loss
from gist_ray.methods.probe import Probe
from gist_ray.methods.sgd_probe import fit_sgd_probe
from gist_ray.schema import METRICS, PREDICTIONS, table


@dataclass(frozen=True)
class LabelledImages:
    """One split. image_ids: (num_images,) strings; features: (num_images, dim) float32,
    L2-normalised; labels: (num_images,)."""

    image_ids: pa.Array
    features: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Setting:
    """What is evaluated: the training variant ("frozen", "gist", ...), the backbone, texts per
    image, shots (None: all images) and the seed of the draw."""

    training: str
    backbone: str
    k: int | None
    shots: int | None
    seed: int


@dataclass(frozen=True)
class Evaluation:
    """metrics: METRICS rows of every head for split "test" and, if it has images, "val".
    predictions: head -> PREDICTIONS table of the test images, in their order."""

    metrics: pa.Table
    predictions: dict[str, pa.Table]


def evaluate(
    train: LabelledImages,
    val: LabelledImages,
    test: Iterable[tuple[np.ndarray, LabelledImages]],
    class_texts: ClassTexts | None,
    template_features: np.ndarray | None,
    logit_scale: float,
    num_classes: int,
    setting: Setting,
    config: EvaluationConfig,
) -> Evaluation:
    """Fit the linear probe and build the zero-shot heads, then measure all of them.

    test: blocks of any sizes and order, with the places of their images in the whole; only one is
    in memory at a time. template_features: (num_templates, num_classes, dim), the class names in
    their templates; logit_scale: CLIP's own, after exp. Without class_texts or template_features
    the heads that need them are left out. val may be empty. Raises UserError for an empty train or
    test split, and for a class without text.
    """
    probe = fit_linear_probe(train, val, num_classes, setting.seed, config)
    heads = build_heads(probe, class_texts, template_features, logit_scale, config.best_texts_m)
    places, image_ids = [], []
    parts: dict[str, list[tuple[Outcomes, pa.Array]]] = {name: [] for name in heads}
    for place, images in test:
        places.append(place)
        image_ids.append(images.image_ids)
        for name, head in heads.items():
            found = outcomes(probabilities_of(head, images.features), images.labels)
            parts[name].append((found, _best_texts(images.features, found, class_texts)))
    if not places:
        raise UserError(NO_IMAGE)
    order = np.argsort(np.concatenate(places))
    ids = pa.concat_arrays(image_ids).take(pa.array(order))
    texts = pa.array([] if class_texts is None else class_texts.texts, pa.string())
    rows: list[dict[str, object]] = []
    predictions = {}
    for name, head in heads.items():
        if len(val.labels):
            found = outcomes(probabilities_of(head, val.features), val.labels)
            rows += _metric_rows(name, "val", found, setting, config)
        found = join_outcomes([part for part, _ in parts[name]], order)
        rows += _metric_rows(name, "test", found, setting, config)
        best = pa.concat_arrays([part for _, part in parts[name]]).take(pa.array(order))
        predictions[name] = _predictions(ids, found, texts.take(best))
    return Evaluation(table(rows, METRICS), predictions)


def validate(
    train: LabelledImages,
    val: LabelledImages,
    num_classes: int,
    setting: Setting,
    config: EvaluationConfig,
) -> pa.Table:
    """METRICS rows of the linear probe on val: top1 and log_loss, without intervals, for what
    chose the probe's C does not measure it. Raises UserError for an empty train or val split."""
    if not len(val.labels):
        raise UserError(
            "measuring on val needs labelled images of the val split, and there are none. Give the "
            "data set a val split."
        )
    probe = fit_linear_probe(train, val, num_classes, setting.seed, config)
    accuracy, log_loss = val_accuracy_and_loss(probe, val.features, val.labels)
    of_probe = {
        "method": f"{setting.training}/linear_probe",
        "backbone": setting.backbone,
        "k": setting.k,
        "shots": setting.shots,
        "seed": setting.seed,
        "split": "val",
        "num_samples": len(val.labels),
    }
    values = {"top1": accuracy, "log_loss": log_loss}
    return table(
        [{**of_probe, "metric": name, "value": value} for name, value in values.items()], METRICS
    )


def fit_linear_probe(
    train: LabelledImages,
    val: LabelledImages,
    num_classes: int,
    seed: int,
    config: EvaluationConfig,
) -> Probe:
    """The linear probe that the config asks for, chosen on val. Raises UserError without training
    images."""
    arrays = (train.features, train.labels, val.features, val.labels, num_classes, config)
    return fit_sgd_probe(*arrays, seed) if config.probe == "sgd" else fit_probe(*arrays)


def _best_texts(features: np.ndarray, found: Outcomes, class_texts: ClassTexts | None) -> pa.Array:
    """(num_images,) int32, which text of the predicted class is most similar to the image; null
    without class_texts."""
    if class_texts is None:
        return pa.nulls(len(features), pa.int32())
    arrays = (features, found.predicted, class_texts.features, class_texts.labels)
    return pa.array(match_topk(*arrays, 1).text_index[:, 0], pa.int32())


def _predictions(ids: pa.Array, found: Outcomes, explanations: pa.Array) -> pa.Table:
    """A PREDICTIONS table; a row per image."""
    num_images, num_ranked = found.ranked.shape
    starts = pa.array(np.arange(num_images + 1) * num_ranked, pa.int32())
    return pa.table(
        [
            ids,
            pa.array(found.labels, pa.int32()),
            pa.array(found.predicted, pa.int32()),
            pa.ListArray.from_arrays(starts, found.ranked.ravel()),
            pa.array(found.confidence.astype(np.float32)),
            explanations,
        ],
        schema=PREDICTIONS,
    )


def _metric_rows(
    head: str,
    split: str,
    found: Outcomes,
    setting: Setting,
    config: EvaluationConfig,
) -> list[dict[str, object]]:
    values = weighted_metrics(found, [np.ones((len(found.labels), 1))])
    intervals = metric_intervals(found, config.num_bootstrap, config.confidence, setting.seed)
    return [
        {
            "method": f"{setting.training}/{head}",
            "backbone": setting.backbone,
            "k": setting.k,
            "shots": setting.shots,
            "seed": setting.seed,
            "split": split,
            "metric": name,
            "value": float(values[name][0]),
            "ci_low": intervals[name][0],
            "ci_high": intervals[name][1],
            "num_samples": len(found.labels),
        }
        for name in METRIC_NAMES
    ]
