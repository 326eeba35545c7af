"""The summary as a grid: rows are training variants, columns are head and shots."""

from collections.abc import Sequence
from dataclasses import dataclass

from gist_ray.report.data import SummaryRow
from gist_ray.report.wording import LOWER_IS_BETTER, TRAININGS


@dataclass(frozen=True)
class ResultGrid:
    """One metric of all methods. A training that a head measured without shots only is in every
    column of that head."""

    metric: str
    trainings: list[str]
    # head -> the shots it was measured at, rising, then None for all images
    columns: dict[str, list[int | None]]
    # (training, head, shots)
    cells: dict[tuple[str, str, int | None], SummaryRow]
    # the keys of the cells with the best mean of their column
    best: set[tuple[str, str, int | None]]


def result_grid(summary: Sequence[SummaryRow], metric: str, split: str = "test") -> ResultGrid:
    """Returns the rows of `metric` on one test set as a grid. Known features come in their usual
    order, others after them; methods in the order of their first row."""
    given = {}
    for row in summary:
        if row["metric"] == metric and row["split"] == split:
            given[row["features"], row["method"], row["shots"]] = row

    trainings = _in_order([training for training, _, _ in given], list(TRAININGS))
    columns: dict[str, list[int | None]] = {}
    for head in dict.fromkeys(head for _, head, _ in given):
        columns[head] = _columns({(t, s) for t, h, s in given if h == head})

    cells = {}
    best = set()
    for head, all_shots in columns.items():
        for shots_or_none in all_shots:
            column = {}
            for training in trainings:
                key = (training, head, shots_or_none)
                found = given.get(key)
                if found is None and not _with_shots(given, training, head):
                    found = given.get((training, head, None))
                if found is not None:
                    column[key] = found
            cells.update(column)
            best |= _best(column, metric)
    return ResultGrid(metric, trainings, columns, cells, best)


@dataclass(frozen=True)
class MethodTable:
    """One metric of all methods on the features of one training."""

    training: str
    columns: list[int | None]
    """Shots, rising, then None for all images."""
    rows: dict[str, list[SummaryRow | None]]
    """{method: its cell in each column}; one that was measured without shots is in every column."""
    best: list[float | None]
    """The best mean of each column."""


def method_tables(grid: ResultGrid) -> list[MethodTable]:
    """Returns the grid turned round, for runs of many methods: a table per training, a row per
    method."""
    # a head measured without shots only asks for no column of its own
    known = {s for of_head in grid.columns.values() if of_head != [None] for s in of_head}
    columns = sorted(known or {None}, key=lambda s: float("inf") if s is None else s)
    pick = min if grid.metric in LOWER_IS_BETTER else max
    tables = []
    for training in grid.trainings:
        rows: dict[str, list[SummaryRow | None]] = {}
        for head in grid.columns:
            cells = [
                grid.cells.get((training, head, s)) or grid.cells.get((training, head, None))
                for s in columns
            ]
            if any(cells):
                rows[head] = cells
        means = [
            [cell["mean"] for cell in column if cell] for column in zip(*rows.values(), strict=True)
        ]
        best = [pick(column, default=None) for column in means]
        tables.append(MethodTable(training, columns, rows, best))
    return tables


def chance_level(metric: str, num_classes: int) -> float | None:
    """Returns the accuracy of guessing on balanced classes; None where it has no simple value."""
    if num_classes < 1:
        return None
    guesses = {"top1": 1, "mean_per_class": 1, "top3": 3, "top5": 5}.get(metric)
    return None if guesses is None else min(1.0, guesses / num_classes)


def _columns(measured: set[tuple[str, int | None]]) -> list[int | None]:
    """Returns the shots of a head, rising; None (all images) is last if a training has it besides
    others."""
    with_shots = {training for training, shots in measured if shots is not None}
    full = any(shots is None and training in with_shots for training, shots in measured)
    rising = sorted({shots for _, shots in measured if shots is not None})
    return [*rising, None] if full or not rising else [*rising]


def _with_shots(
    given: dict[tuple[str, str, int | None], SummaryRow], training: str, head: str
) -> bool:
    return any((t, h) == (training, head) and shots is not None for t, h, shots in given)


def _in_order(names: list[str], usual: list[str]) -> list[str]:
    seen = dict.fromkeys(names)
    return [name for name in usual if name in seen] + [name for name in seen if name not in usual]


def _best(
    column: dict[tuple[str, str, int | None], SummaryRow], metric: str
) -> set[tuple[str, str, int | None]]:
    if len(column) < 2:
        return set()
    pick = min if metric in LOWER_IS_BETTER else max
    value = pick(row["mean"] for row in column.values())
    return {key for key, row in column.items() if row["mean"] == value}
