from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from gist_ray.evaluation.evaluate import (
    Evaluation,
    LabelledImages,
    Setting,
    evaluate,
)
from gist_ray.methods.heads import ClassTexts

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.metrics import METRIC_NAMES
from gist_ray.schema import METRICS, PREDICTIONS

NUM_CLASSES = 6
CENTRES = np.linalg.qr(np.random.default_rng(7).normal(size=(12, 12)))[0][:NUM_CLASSES]
CONFIG = EvaluationConfig(num_bootstrap=50)


def unit(features: np.ndarray) -> np.ndarray:
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def images(name: str, per_class: int, seed: int) -> LabelledImages:
    labels = np.repeat(np.arange(NUM_CLASSES), per_class)
    noise = np.random.default_rng(seed).normal(size=(len(labels), 12))
    ids = pa.array([f"{name}{number}" for number in range(len(labels))])
    return LabelledImages(ids, unit(CENTRES[labels] + 0.25 * noise), labels)


TEXT_LABELS = np.repeat(np.arange(NUM_CLASSES), 4)
TEXTS = ClassTexts(
    [f"text {number}" for number in range(24)],
    unit(CENTRES[TEXT_LABELS] + 0.2 * np.random.default_rng(5).normal(size=(24, 12))),
    TEXT_LABELS,
)
NAMES = np.stack([CENTRES, CENTRES + 0.1])
SETTING = Setting("gist", "tiny", 3, 5, 2)


def run(**changes: Any) -> Evaluation:
    arguments: dict[str, Any] = {
        "train": images("train", 5, 0),
        "val": images("val", 4, 1),
        "test": images("test", 10, 2),
        "class_texts": TEXTS,
        "template_features": NAMES,
        "logit_scale": 20.0,
        "num_classes": NUM_CLASSES,
        "setting": SETTING,
        "config": CONFIG,
    }
    arguments |= changes
    return evaluate(**(arguments | {"test": in_blocks(arguments["test"])}))


def in_blocks(images: LabelledImages) -> Iterator[tuple[np.ndarray, LabelledImages]]:
    """Of seven images each, not in their order."""
    for start in reversed(range(0, len(images.labels), 7)):
        rows = np.arange(start, min(start + 7, len(images.labels)))
        ids = images.image_ids.take(pa.array(rows))
        yield rows, LabelledImages(ids, images.features[rows], images.labels[rows])


def test_every_head_has_every_metric_and_the_setting() -> None:
    found = run()
    assert found.metrics.schema == METRICS
    heads = ["linear_probe", "zero_shot_name", "zero_shot_texts", "zero_shot_best_texts"]
    assert list(found.predictions) == heads
    rows = found.metrics.to_pylist()
    assert {(row["method"], row["split"], row["metric"]) for row in rows} == {
        (f"gist/{head}", split, metric)
        for head in heads
        for split in ("val", "test")
        for metric in METRIC_NAMES
    }
    for row in rows:
        assert (row["backbone"], row["k"], row["shots"], row["seed"]) == ("tiny", 3, 5, 2)
        assert row["num_samples"] == {"val": 24, "test": 60}[row["split"]]
        if row["metric"] == "top1":
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
            assert row["value"] > 0.7


def test_predictions_agree_with_metrics_and_explain_themselves() -> None:
    found = run()
    test = images("test", 10, 2)
    top1 = {
        row["method"]: row["value"]
        for row in found.metrics.to_pylist()
        if (row["split"], row["metric"]) == ("test", "top1")
    }
    for head, predictions in found.predictions.items():
        assert predictions.schema == PREDICTIONS
        rows = predictions.to_pylist()
        assert [row["image_id"] for row in rows] == test.image_ids.to_pylist()
        correct = np.mean([row["label"] == row["predicted"] for row in rows])
        assert top1[f"gist/{head}"] == pytest.approx(correct)
        for row, features in zip(rows, test.features, strict=True):
            assert row["top5"][0] == row["predicted"]
            assert len(set(row["top5"])) == 5
            own = np.flatnonzero(row["predicted"] == TEXT_LABELS)
            best = own[np.argmax(TEXTS.features[own] @ features)]
            assert row["explanation"] == f"text {best}"


def test_test_labels_change_no_prediction() -> None:
    test = images("test", 10, 2)
    shuffled = LabelledImages(
        test.image_ids, test.features, np.random.default_rng(0).permutation(test.labels)
    )
    straight, other = run().predictions, run(test=shuffled).predictions
    for head, predictions in straight.items():
        for column in ("predicted", "top5", "score", "explanation"):
            assert predictions.column(column).equals(other[head].column(column))


def test_heads_without_their_inputs_are_left_out() -> None:
    found = run(class_texts=None, template_features=None)
    assert list(found.predictions) == ["linear_probe"]
    assert found.predictions["linear_probe"].column("explanation").null_count == 60


def test_no_val_images_and_few_classes() -> None:
    none = LabelledImages(
        pa.array([], pa.string()), np.empty((0, 12), np.float32), np.empty(0, int)
    )
    found = run(val=none)
    assert set(found.metrics.column("split").to_pylist()) == {"test"}


def test_the_sgd_probe_is_used_when_asked_for() -> None:
    config = EvaluationConfig(num_bootstrap=5, probe="sgd", sgd_num_epochs=5)
    sgd, logistic = run(config=config), run()
    assert not sgd.predictions["linear_probe"].equals(logistic.predictions["linear_probe"])
    assert sgd.predictions["zero_shot_name"].equals(logistic.predictions["zero_shot_name"])


def test_an_empty_test_split_is_an_error() -> None:
    none = LabelledImages(
        pa.array([], pa.string()), np.empty((0, 12), np.float32), np.empty(0, int)
    )
    with pytest.raises(UserError, match="no labelled image to evaluate"):
        run(test=none)
