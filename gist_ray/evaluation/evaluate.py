"""All heads of one trained model on one draw: metrics with intervals, and test predictions.

Whatever is chosen is chosen on val; test is only read to measure what is already fixed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.heads import ClassTexts, build_heads, probabilities_of
from gist_ray.evaluation.intervals import metric_intervals
from gist_ray.evaluation.linear_probe import fit_probe, val_accuracy_and_loss
from gist_ray.evaluation.metrics import (
    METRIC_NAMES,
    NO_IMAGE,
    Outcomes,
    join_outcomes,
    outcomes,
    weighted_metrics,
)
from gist_ray.evaluation.probe import Probe
from gist_ray.evaluation.sgd_probe import fit_sgd_probe
from gist_ray.matching.similarity import top_k
from gist_ray.matching.topk import match_topk
from gist_ray.schema import METRICS, PREDICTIONS, table


@dataclass(frozen=True)
class LabelledImages:
    """One split. features: (num_images, dim) float32, L2-normalised; labels: (num_images,)."""

    image_ids: Sequence[str]
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
    places = []
    parts: dict[str, list[tuple[Outcomes, pa.Table]]] = {name: [] for name in heads}
    for place, images in test:
        places.append(place)
        for name, head in heads.items():
            probabilities = probabilities_of(head, images.features)
            parts[name].append(
                (
                    outcomes(probabilities, images.labels),
                    predictions_table(images, probabilities, class_texts),
                )
            )
    if not places:
        raise UserError(NO_IMAGE)
    order = np.argsort(np.concatenate(places))
    rows: list[dict[str, object]] = []
    predictions = {}
    for name, head in heads.items():
        if len(val.labels):
            found = outcomes(probabilities_of(head, val.features), val.labels)
            rows += _metric_rows(name, "val", found, setting, config)
        found = join_outcomes([part for part, _ in parts[name]], order)
        rows += _metric_rows(name, "test", found, setting, config)
        predictions[name] = pa.concat_tables([part for _, part in parts[name]]).take(order)
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


def predictions_table(
    images: LabelledImages, probabilities: np.ndarray, class_texts: ClassTexts | None
) -> pa.Table:
    """A PREDICTIONS table from probabilities (num_images, num_classes); the explanation is the
    text of the predicted class that is most similar to the image, null without class_texts."""
    ranked = top_k(probabilities, 5)
    predicted = ranked[:, 0]
    explanations: list[str | None] = [None] * len(predicted)
    if class_texts is not None:
        best = match_topk(images.features, predicted, class_texts.features, class_texts.labels, 1)
        explanations = [class_texts.texts[index] for index in best.text_index[:, 0]]
    return pa.table(
        [
            pa.array(images.image_ids, pa.string()),
            pa.array(images.labels, pa.int32()),
            pa.array(predicted, pa.int32()),
            pa.array(ranked.tolist(), pa.list_(pa.int32())),
            pa.array(probabilities[np.arange(len(predicted)), predicted].astype(np.float32)),
            pa.array(explanations, pa.string()),
        ],
        schema=PREDICTIONS,
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


def _metric_rows(
    head: str,
    split: str,
    found: Outcomes,
    setting: Setting,
    config: EvaluationConfig,
) -> list[dict[str, object]]:
    values = weighted_metrics(found, np.ones((len(found.labels), 1)))
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
