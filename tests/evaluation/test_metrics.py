import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, recall_score
from torchmetrics.functional.classification import multiclass_calibration_error

from gist_ray.errors import UserError
from gist_ray.evaluation.metrics import (
    METRIC_NAMES,
    compute_metrics,
    outcomes,
    weighted_metrics,
)


@pytest.mark.parametrize("seed", range(8))
def test_equals_scikit_learn_and_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_classes = int(rng.integers(2, 9))
    probabilities = rng.dirichlet(np.full(num_classes, 0.4), size=60)
    # the last class has no image, and in half of the cases is never predicted
    if seed % 2:
        probabilities[:, -1] = 0
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = rng.integers(max(1, num_classes - 1), size=60)
    values = compute_metrics(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    ranked = np.argsort(-probabilities, axis=1)
    for top in (1, 3, 5):
        expected = np.mean([labels[i] in ranked[i, :top] for i in range(60)])
        assert values[f"top{top}"] == pytest.approx(expected)
    recalls = recall_score(labels, predicted, labels=np.unique(labels), average="macro")
    assert values["mean_per_class"] == pytest.approx(recalls)
    assert values["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    ece = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes, n_bins=15
    )
    assert values["ece"] == pytest.approx(float(ece), abs=1e-6)


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), size=12), rng.integers(4, size=12)
    weights = rng.integers(0, 3, size=(12, 5))
    found = weighted_metrics(
        outcomes(probabilities, labels), np.split(weights.astype(float), [2], axis=1)
    )
    for resample in range(5):
        drawn = np.repeat(np.arange(12), weights[:, resample])
        expected = compute_metrics(probabilities[drawn], labels[drawn])
        for name in METRIC_NAMES:
            assert found[name][resample] == pytest.approx(expected[name])


def test_the_order_of_images_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), size=12), rng.integers(4, size=12)
    assert compute_metrics(probabilities[::-1], labels[::-1]) == pytest.approx(
        compute_metrics(probabilities, labels)
    )


def test_equal_probabilities_rank_the_lower_label_first() -> None:
    values = compute_metrics(np.full((6, 6), 1 / 6), np.arange(6))
    assert values["top1"] == pytest.approx(1 / 6)
    assert values["top3"] == pytest.approx(3 / 6)
    assert values["top5"] == pytest.approx(5 / 6)
    assert values["ece"] == pytest.approx(0)


def test_few_classes_and_one_image() -> None:
    values = compute_metrics(np.array([[0.9, 0.1]]), np.array([1]))
    assert values == {
        "top1": 0,
        "top3": 1,
        "top5": 1,
        "mean_per_class": 0,
        "macro_f1": 0,
        "ece": pytest.approx(0.9),
    }
    assert compute_metrics(np.ones((3, 1)), np.zeros(3, int))["ece"] == 0


def test_certainty_shares_the_last_bin() -> None:
    # confidences 1.0 (wrong) and 0.95 (right) offset each other within one bin
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05]])
    assert compute_metrics(probabilities, np.array([1, 0]))["ece"] == pytest.approx(0.475)


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(UserError, match="no labelled image to evaluate"):
        compute_metrics(np.empty((0, 3)), np.empty(0, int))
