"""Accuracy by the values of the images' attributes: a table and a sentence for each attribute, and
the worst slice of every method."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.evaluation.slice_accuracy import MAX_WIDTH
from gist_ray.evaluation.slices import MIN_IMAGES, MISSING
from gist_ray.report.data import Pair, ReportData, SliceRow
from gist_ray.report.headline import stands
from gist_ray.report.page.wording import count, interval, percent, points


@dataclass(frozen=True)
class SliceTable:
    """The slices of one attribute, in the order of its values. worst: the lowest of those that have
    enough images; None if fewer than two have."""

    attribute: str
    rows: list[SliceRow]
    worst: SliceRow | None
    sentence: str


@dataclass(frozen=True)
class WorstSlice:
    """The slice on which a method is worst, by the mean over seeds."""

    pair: Pair
    of_all: float
    slice: str
    num_images: int
    value: float


def slice_values(data: ReportData) -> dict[str, Any]:
    """Returns what the page's section reads."""
    tables = slice_tables(data.slices, data.split, data.confidence)

    def is_shown(row: SliceRow) -> bool:
        low, high = row["difference_ci_low"] or 0.0, row["difference_ci_high"] or 0.0
        return (low > 0 or high < 0) and stands(row, data.confidence) is not False

    worst = []
    if tables:
        shots = tables[0].rows[0]["shots"]
        worst = worst_of_methods(
            data.metrics, split=data.split, metric=data.headline_metric, shots=shots
        )
    return {
        "slice_tables": tables,
        "worst_slices": worst,
        "num_slices_compared": _num_compared(data.slices),
        "is_shown": is_shown,
        "min_images": MIN_IMAGES,
        "max_width": MAX_WIDTH,
    }


def slice_tables(rows: Sequence[SliceRow], split: str, confidence: float) -> list[SliceTable]:
    """Returns a table for each attribute, of one test set."""
    of_attribute: defaultdict[str, list[SliceRow]] = defaultdict(list)
    for row in rows:
        if row["split"] == split:
            of_attribute[row["attribute"]].append(row)
    tables = []
    for attribute, members in of_attribute.items():
        told = [row for row in members if row["mean"] is not None]
        worst = min(told, key=lambda row: row["mean"] or 0.0) if len(told) > 1 else None
        sentence = (
            f"{attribute}: too few images to compare its values."
            if worst is None
            else _sentence(worst, confidence, _num_compared(rows))
        )
        tables.append(SliceTable(attribute, members, worst, sentence))
    return tables


def _num_compared(rows: Sequence[SliceRow]) -> int:
    return sum(row["p_holm"] is not None for row in rows)


def slice_label(row: SliceRow) -> str:
    return MISSING if row["value"] is None else row["value"]


def _sentence(worst: SliceRow, confidence: float, num_compared: int) -> str:
    said = (
        f"Worst is {worst['attribute']} = {slice_label(worst)}: "
        f"{percent(worst['mean'])} % {interval(worst['ci_low'], worst['ci_high'])} of "
        f"{count(worst['num_images'])} images, {points(worst['difference'] or 0.0)} points "
        f"{interval(worst['difference_ci_low'], worst['difference_ci_high'])} from all."
    )
    if (worst["difference_ci_high"] or 0.0) >= 0:
        return f"{said} The interval includes zero: it is not shown to be worse than all."
    if stands(worst, confidence) is False:
        return (
            f"{said} That does not stand Holm's correction for the {num_compared} slices compared: "
            "the lowest of many is low by luck too."
        )
    return f"{said} It is shown to be worse than all."


def worst_of_methods(
    metrics: pa.Table, *, split: str, metric: str, shots: int | None
) -> list[WorstSlice]:
    """Returns the worst slice of MIN_IMAGES or more of every method on every model's features, at
    a number of shots, from METRICS. Methods without slices are left out."""
    is_of = {"split": split, "metric": metric}
    rows = metrics.filter(
        pc.and_(*(pc.equal(metrics.column(name), value) for name, value in is_of.items()))
    ).to_pylist()
    values: defaultdict[Pair, defaultdict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    num_images: dict[str, int] = {}
    for row in rows:
        large = not row["slice"] or row["num_samples"] >= MIN_IMAGES
        if large and row["shots"] in (shots, None):
            values[row["features"], row["method"]][row["slice"]].append(row["value"])
            num_images[row["slice"]] = row["num_samples"]
    found = []
    for pair, of_slices in values.items():
        means = {name: mean(of_seeds) for name, of_seeds in of_slices.items()}
        of_all = means.pop("")
        if means:
            worst = min(means, key=lambda name: means[name])
            found.append(WorstSlice(pair, of_all, worst, num_images[worst], means[worst]))
    return found
