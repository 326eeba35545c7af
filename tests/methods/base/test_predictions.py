from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.predictions import (
    accuracy_and_loss,
    predict_blocks,
    predict_split,
    probabilities_of,
)
from gist_ray.methods.base.problem import Split, TextSet
from gist_ray.schema import PREDICTIONS
from tests.methods.made import CENTRES, CLASS_TEXTS, LOGIT_SCALE, TEST, TEXT_LABELS

BY_CENTRES = by_cosine(CENTRES, LOGIT_SCALE)


def in_blocks(images: Split) -> Iterator[tuple[np.ndarray, Split]]:
    """Of seven images each, not in their order."""
    for start in reversed(range(0, len(images.labels), 7)):
        rows = np.arange(start, min(start + 7, len(images.labels)))
        ids = images.image_ids.take(pa.array(rows))
        yield rows, Split(ids, images.features[rows], images.labels[rows])


def test_blocks_of_any_order_come_to_the_images_in_theirs() -> None:
    found = predict_blocks(BY_CENTRES, in_blocks(TEST), CLASS_TEXTS)
    assert found.schema == PREDICTIONS
    rows, whole = found.to_pylist(), predict_split(BY_CENTRES, TEST, CLASS_TEXTS).to_pylist()
    for row, same in zip(rows, whole, strict=True):
        # the last bits of a product depend on how many rows it has
        assert row.pop("probability") == pytest.approx(same.pop("probability"))
        assert row == same
    assert [row["image_id"] for row in rows] == TEST.image_ids.to_pylist()


def test_classes_are_ranked_and_the_best_text_of_the_first_explains() -> None:
    probabilities = probabilities_of(BY_CENTRES, TEST.features)
    rows = predict_split(BY_CENTRES, TEST, CLASS_TEXTS).to_pylist()
    assert len(rows) == 60
    for row, chances, features in zip(rows, probabilities, TEST.features, strict=True):
        assert row["top5"] == np.argsort(-chances)[:5].tolist()
        assert row["predicted"] == row["top5"][0]
        assert row["probability"] == chances.max()
        own = np.flatnonzero(row["predicted"] == TEXT_LABELS)
        best = own[np.argmax(CLASS_TEXTS.features[own] @ features)]
        assert row["explanation"] == f"text {best}"


def test_of_equal_probabilities_the_lower_class_comes_first() -> None:
    same = LinearClassifier(np.zeros((6, 12)), np.zeros(6), 1.0)
    rows = predict_split(same, TEST, None).to_pylist()
    assert {tuple(row["top5"]) for row in rows} == {(0, 1, 2, 3, 4)}


def test_without_texts_nothing_is_explained() -> None:
    assert predict_split(BY_CENTRES, TEST, None).column("explanation").null_count == 60
    few = TextSet(CLASS_TEXTS.texts[:4], CLASS_TEXTS.features[:4], CLASS_TEXTS.labels[:4])
    for row in predict_split(BY_CENTRES, TEST, few).to_pylist():
        assert (row["explanation"] is None) == (row["predicted"] != 0)


def test_temperature_divides_the_logits() -> None:
    axes = by_cosine(np.eye(2), 50.0)
    first, second = probabilities_of(axes, np.array([[0.6, 0.8]], np.float32), temperature=5.0)[0]
    assert np.log(second / first) == pytest.approx(2)


def test_accuracy_and_log_loss() -> None:
    images = Split(pa.array(["a", "b"]), np.eye(2, dtype=np.float32), np.array([0, 0]))
    even = LinearClassifier(np.zeros((2, 2)), np.zeros(2), 1.0)
    assert accuracy_and_loss(even, images) == (1.0, pytest.approx(np.log(2)))
    never = LinearClassifier(np.zeros((2, 2)), np.array([-np.inf, 0.0]), 1.0)
    assert accuracy_and_loss(never, images) == (
        0.0,
        pytest.approx(-np.log(np.finfo(np.float64).tiny)),
    )


def test_no_image_is_an_error_in_a_test_set_and_nothing_in_val() -> None:
    with pytest.raises(UserError, match="no labelled image to evaluate"):
        predict_blocks(BY_CENTRES, [], None)
    assert predict_split(BY_CENTRES, Split.none(), None) == PREDICTIONS.empty_table()
