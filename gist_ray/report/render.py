"""One self-contained HTML page from a run's tables that sends no request and escapes everything it
shows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from gist_ray.report import wording
from gist_ray.report.cards import choose_images, make_cards, similarity_range
from gist_ray.report.confusions import most_confused
from gist_ray.report.data import ReportData
from gist_ray.report.differences import DRAWING_WIDTH, difference_table
from gist_ray.report.flow import BOX_HEIGHT, BOX_WIDTH, WIDTH, flow
from gist_ray.report.headline import headline, num_compared
from gist_ray.report.page.document import Section, document
from gist_ray.report.page.wording import count, duration
from gist_ray.report.plots import MAX_HEADS, results_plot
from gist_ray.report.results import ResultGrid, chance_level, method_tables, result_grid
from gist_ray.report.slices import slice_label, slice_values
from gist_ray.report.text_use import (
    fewest_texts,
    most_used,
    not_label_preserving,
    rejected_by_check,
)
from gist_ray.report.thumbnails import thumbnail

FOLDER = Path(__file__).parent
# How much of each list is shown: a page of 200 classes stays one that can be read and mailed.
LIMITS = {
    "differences": 60,
    "trainings": 40,
    "steps": 100,
    "texts": 12,
    "classes": 12,
    "checks": 30,
    "error_kinds": 40,
    "errors": 20,
    "worst_slices": 60,
}
MAX_TABLE_COLUMNS = 6
# of `wording`, as filters of the templates
NAMES = (
    "at_shots",
    "head_label",
    "marked_label",
    "pair_label",
    "metric_label",
    "shots_label",
    "similarity",
    "split_label",
    "training_label",
)


SECTIONS: Sequence[Callable[[ReportData], Section]] = (
    lambda data: Section("results", "Results", "section_results.html", _results(data)),
    lambda data: Section("slices", "Slices", "section_slices.html", slice_values(data)),
    lambda data: Section("flow", "Flow", "section_flow.html", _flow(data)),
    lambda data: Section("cards", "Images and their texts", "section_cards.html", _cards(data)),
    lambda data: Section("confusions", "Confusions", "section_confusions.html", _confusions(data)),
    lambda data: Section("texts", "Texts", "section_texts.html", _texts(data)),
    lambda data: Section("data", "Data", "section_data.html", {}),
    lambda data: Section("errors", "Errors", "section_errors.html", _errors(data)),
    lambda data: Section("configuration", "Configuration", "section_configuration.html", {}),
)
"""The sections of the page, in their order."""


def render(data: ReportData) -> str:
    """Returns the report as an HTML document. All strings of `data` are escaped by the
    templates."""
    values = {
        "data": data,
        "limits": LIMITS,
        "meanings": wording.training_meanings(pairs_imported=data.pairs_imported),
        "thumbnail": cache(thumbnail),
        "headline": headline(data),
        "facts": _facts(data),
    }
    filters: dict[str, Callable[..., str]] = {name: getattr(wording, name) for name in NAMES}
    filters["slice_label"] = slice_label
    sections = [section(data) for section in SECTIONS]
    return document(FOLDER, "report.html", values, filters=filters, sections=sections)


def _flow(data: ReportData) -> dict[str, Any]:
    sizes = {"width": WIDTH, "box_width": BOX_WIDTH, "box_height": BOX_HEIGHT}
    return {"flow": flow(data.stages), "flow_sizes": sizes}


def _confusions(data: ReportData) -> dict[str, Any]:
    return {"confusions": most_confused(data.predictions, data.manifest)}


def _errors(data: ReportData) -> dict[str, Any]:
    kinds = data.errors.select(["stage", "kind"]).to_pydict().values()
    return {
        "error_kinds": Counter(zip(*kinds, strict=True)).most_common(),
        "errors": data.errors.slice(0, LIMITS["errors"]).to_pylist(),
    }


def _facts(data: ReportData) -> list[tuple[str, str]]:
    """Returns (label, value) pairs that give the size of the run."""
    splits = {
        row["values"]: row["counts"]
        for row in data.manifest.column("split").value_counts().to_pylist()
    }
    num_kept = data.texts.column("rejected").null_count
    seeds = pc.count_distinct(data.metrics.column("seed")).as_py()
    facts = [
        ("classes", count(_num_classes(data))),
        ("images", ", ".join(f"{count(n)} {split}" for split, n in splits.items())),
        ("texts", f"{count(num_kept)} kept of {count(data.texts.num_rows)}"),
        ("seeds", count(seeds)),
        ("failed rows", count(data.errors.num_rows)),
        ("time of all steps", duration(sum(step["seconds"] for step in data.stages))),
    ]
    return facts


def _num_classes(data: ReportData) -> int:
    return int(pc.count_distinct(data.manifest.column("label")).as_py())


def _results(data: ReportData) -> dict[str, Any]:
    metrics = list(dict.fromkeys(row["metric"] for row in data.summary))
    metrics.sort(key=lambda metric: metric != data.headline_metric)
    grids = [result_grid(data.summary, metric, data.split) for metric in metrics]
    chances = {metric: chance_level(metric, _num_classes(data)) for metric in metrics}
    plot = None
    if grids:
        (focus, _), (reference, _) = data.headline
        chance = chances[metrics[0]]
        plot = results_plot(
            grids[0],
            _seeds(data, metrics[0]),
            focus=focus,
            reference=reference,
            chance=chance,
        )
    differences, over_shots = (
        [row for row in rows if row["split"] == data.split]
        for rows in (data.differences, data.differences_over_shots)
    )
    difference_metrics = dict.fromkeys(row["metric"] for row in differences)
    return {
        "other_splits": sorted({row["split"] for row in data.summary} - {data.split}),
        "plot": plot,
        "grids": [
            (
                grid,
                chances[grid.metric],
                _blocks(grid),
                method_tables(grid) if len(grid.columns) > MAX_HEADS else [],
            )
            for grid in grids
        ],
        "num_plotted": MAX_HEADS,
        "differences": {
            metric: difference_table(
                differences,
                metric,
                headline=data.headline,
                limit=LIMITS["differences"],
                confidence=data.confidence,
            )
            for metric in sorted(difference_metrics, key=lambda m: m != data.headline_metric)
        },
        "over_shots": difference_table(
            over_shots,
            data.headline_metric,
            headline=data.headline,
            limit=LIMITS["differences"],
            confidence=data.confidence,
        ),
        "num_differences": Counter(row["metric"] for row in differences),
        "num_compared": num_compared(data),
        "drawing_width": DRAWING_WIDTH,
    }


def _seeds(data: ReportData, metric: str) -> dict[tuple[str, str, int | None], list[float]]:
    values: defaultdict[tuple[str, str, int | None], list[float]] = defaultdict(list)
    test = data.metrics.filter(
        pc.and_(
            pc.equal(data.metrics.column("split"), data.split),
            pc.equal(data.metrics.column("metric"), metric),
        )
    )
    test = test.filter(pc.equal(test.column("slice"), ""))
    for row in test.select(["features", "method", "shots", "seed", "value"]).to_pylist():
        if row["seed"] is not None:
            values[row["features"], row["method"], row["shots"]].append(row["value"])
    return dict(values)


def _blocks(grid: ResultGrid) -> list[list[str]]:
    """Returns the heads in groups whose columns fit beside each other on a page."""
    blocks: list[list[str]] = []
    width = MAX_TABLE_COLUMNS
    for head, shots in grid.columns.items():
        if width + len(shots) > MAX_TABLE_COLUMNS:
            blocks.append([])
            width = 0
        blocks[-1].append(head)
        width += len(shots)
    return blocks


def _cards(data: ReportData) -> dict[str, Any]:
    chosen = choose_images(data.image_statistics)
    typical, hardest = (
        make_cards(
            image_ids,
            image_statistics=data.image_statistics,
            manifest=data.manifest,
            matches=data.matches,
            texts=data.texts,
        )
        for image_ids in (chosen.typical, chosen.hardest)
    )
    low, high = similarity_range([*typical, *hardest])
    return {
        "typical": typical,
        "hardest": hardest,
        "bar_range": (low, high),
        # in per cent of the bar's full length
        "bar": lambda value: round(100 * (value - low) / ((high - low) or 1), 1),
    }


def _texts(data: ReportData) -> dict[str, Any]:
    statistics = data.text_statistics
    return {
        "rejected": rejected_by_check(data.texts),
        "most_used": most_used(statistics, data.texts, LIMITS["texts"]),
        "num_used": pc.sum(pc.greater(statistics.column("num_used"), 0)).as_py() or 0,
        "fewest_texts": fewest_texts(data.class_statistics, LIMITS["classes"]),
        "misfits": not_label_preserving(statistics, data.texts, LIMITS["texts"]),
        "num_misfits": pc.sum(pc.invert(statistics.column("label_preserving"))).as_py() or 0,
    }
