import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.metrics import METRIC_NAMES, compute_metrics, outcomes
from gist_ray.evaluation.slice_accuracy import MAX_WIDTH, slice_accuracies
from gist_ray.evaluation.slices import MIN_IMAGES, Slice, slice_problems, slices_of
from gist_ray.evaluation.stage import Measured, metric_rows
from gist_ray.schema import MANIFEST, table

CONFIG = EvaluationConfig(num_bootstrap=200)
MEASURED = Measured(
    features="frozen", data="made", shots=None, seed=None, bootstrap_seed=1, params={}
)


def manifest(attributes: list[dict[str, Any]], groups: list[str | None] | None = None) -> pa.Table:
    """One test image per entry, and a train image with an attribute of its own."""
    rows = [
        {
            "image_id": str(number),
            "uri": "",
            "label": 0,
            "class_name": "a",
            "split": "test",
            "group": groups[number] if groups else None,
            "attributes": json.dumps(of_image),
        }
        for number, of_image in enumerate(attributes)
    ]
    extra = rows[0] | {"image_id": "t", "split": "train", "attributes": '{"of_train": 1}'}
    return table([*rows, extra], MANIFEST)


def ids(count: int) -> pa.ChunkedArray:
    return pa.chunked_array([[str(number) for number in range(count)]])


def test_images_are_told_apart_by_value_and_those_without_one_are_a_slice() -> None:
    values: list[Any] = ["b", 10, 9.0, "b ", None, " ", float("nan"), "10", True]
    rows = [*({"site": value} for value in values), {}, {"site": "(missing)"}]
    found = {one.name: one.rows.tolist() for one in slices_of(manifest(rows), ids(11), ["site"])}
    assert found == {
        "site=9": [2],
        "site=10": [1, 7],
        "site=b": [0, 3],
        "site=true": [8],
        "site=(missing)": [4, 5, 6, 9, 10],
    }
    assert list(found) == ["site=9", "site=10", "site=b", "site=true", "site=(missing)"]


def test_rows_are_those_of_the_given_images() -> None:
    rows = manifest([{"site": "a"}, {"site": "b"}, {"site": "a"}], ["p1", None, "p2"])
    given = pa.chunked_array([["2", "1"]])
    by_site, by_group = (slices_of(rows, given, [name]) for name in ("site", "group"))
    assert {one.name: one.rows.tolist() for one in by_site} == {"site=a": [0], "site=b": [1]}
    assert {one.name: one.rows.tolist() for one in by_group} == {
        "group=p2": [0],
        "group=(missing)": [1],
    }


def test_an_unknown_attribute_is_refused_with_those_that_there_are() -> None:
    rows = manifest([{"site": "a"}, {"year": 2020}], ["p1", None])
    [problem] = slice_problems(rows, ["site", "tone", "year", "group"])
    assert "no test image has the attribute 'tone'" in problem
    assert "They have 'site', 'year', 'group'." in problem
    assert "of_train" not in problem
    [none] = slice_problems(manifest([{}]), ["group"])
    assert "They have none." in none


def test_an_attribute_of_many_values_is_refused_with_the_fix() -> None:
    rows = manifest([{"age": number / 2} for number in range(31)])
    [problem] = slice_problems(rows, ["age"])
    assert "'age' has 31 values in the test images ('0', '0.5', '1' and 28 more)" in problem
    assert "a column of ranges" in problem
    assert slice_problems(rows.slice(1), ["age"]) == []


def planted() -> tuple[np.ndarray, np.ndarray, list[Slice]]:
    """Probabilities and labels of 400 images: in `bad` a third is right, elsewhere nine tenths."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    bad = np.arange(100)
    few = np.arange(100, 100 + MIN_IMAGES - 1)
    rest = np.arange(few[-1] + 1, 400)
    right = rng.random(400) < np.where(np.arange(400) < 100, 0.33, 0.9)
    predicted = np.where(right, labels, (labels + 1) % 4)
    probabilities = np.full((400, 4), 0.1)
    probabilities[np.arange(400), predicted] = 0.7
    slices = [Slice("site", name, rows) for name, rows in (("bad", bad), ("few", few))]
    return probabilities, labels, [*slices, Slice("site", None, rest)]


def test_a_slice_has_the_metrics_of_its_images_and_an_interval_if_they_are_enough() -> None:
    probabilities, labels, slices = planted()
    found = outcomes(probabilities, labels)
    rows = metric_rows(
        "linear_probe", "test", found, slices=slices, measured=MEASURED, config=CONFIG
    )
    for one in slices:
        of_slice = [row for row in rows if row["slice"] == one.name]
        expected = compute_metrics(probabilities[one.rows], labels[one.rows])
        assert [row["metric"] for row in of_slice] == list(METRIC_NAMES)
        assert {row["metric"]: row["value"] for row in of_slice} == pytest.approx(expected)
        assert {row["num_samples"] for row in of_slice} == {len(one.rows)}
        assert {row["ci_low"] is None for row in of_slice} == {one.value == "few"}
    [bad] = [row for row in rows if (row["slice"], row["metric"]) == ("site=bad", "top1")]
    half = 1.96 * np.sqrt(0.33 * 0.67 / 100)
    assert bad["ci_high"] - bad["ci_low"] == pytest.approx(2 * half, rel=0.25)


def test_what_is_told_of_all_images_does_not_depend_on_slices() -> None:
    probabilities, labels, slices = planted()
    found = outcomes(probabilities, labels)
    without, with_slices = (
        metric_rows("m", "test", found, slices=some, measured=MEASURED, config=CONFIG)
        for some in ([], slices)
    )
    assert without == with_slices[: len(METRIC_NAMES)]
    assert [row["slice"] for row in without] == [""] * len(METRIC_NAMES)


def test_the_planted_slice_is_below_all_over_draws() -> None:
    probabilities, labels, slices = planted()
    correct = np.tile(probabilities.argmax(axis=1) == labels, (3, 1))
    bad, few, missing = slice_accuracies(correct, slices, CONFIG, seed=0)
    assert (few.accuracy, few.difference) == (None, None)
    assert bad.accuracy is not None
    assert bad.difference is not None
    assert missing.difference is not None
    assert bad.accuracy.mean == correct[0, :100].mean()
    assert bad.accuracy.low < bad.accuracy.mean < bad.accuracy.high
    assert bad.difference.mean == pytest.approx(correct[0, :100].mean() - correct.mean())
    assert bad.difference.low < bad.difference.mean < bad.difference.high < 0
    assert missing.difference.low > 0


def test_a_wide_interval_says_nothing_either() -> None:
    """20 images, half of them right: about 44 points."""
    correct = (np.arange(200) % 2 == 0)[None, :]
    sizes = (MIN_IMAGES, 100)
    slices = [Slice("site", str(size), np.arange(size)) for size in sizes]
    small, large = slice_accuracies(correct, slices, CONFIG, seed=0)
    assert small.accuracy is None
    assert large.accuracy is not None
    assert large.accuracy.high - large.accuracy.low < MAX_WIDTH
