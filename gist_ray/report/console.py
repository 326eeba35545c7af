"""The results as a table for the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gist_ray.report.data import SummaryRow
from gist_ray.report.page.wording import confidence_level, interval, percent, shorten
from gist_ray.report.results import result_grid
from gist_ray.report.wording import (
    head_label,
    metric_label,
    shots_label,
    split_label,
    training_label,
)


def results_table(
    summary: Sequence[SummaryRow],
    *,
    metric: str = "top1",
    split: str = "test",
    confidence: float = 0.95,
) -> Table:
    """Returns a table with one row per method, grouped by head, and one column per number of shots,
    on one test set.

    Values are in per cent with their interval; the best of each head and column is bold.
    """
    grid = result_grid(summary, metric, split)
    # a head measured without shots only holds at all of them and asks for no column of its own
    known = {s for all_shots in grid.columns.values() if all_shots != [None] for s in all_shots}
    columns = sorted(known or {None}, key=lambda s: float("inf") if s is None else s)
    on = "" if split == "test" else f" on {split_label(split)}"
    title = Text(f"{metric_label(metric)}{on}, % [{confidence_level(confidence)} interval]")
    table = Table(title=title, title_justify="left")
    table.add_column("evaluated by")
    table.add_column("trained on")
    for shots in columns:
        table.add_column(shots_label(shots), justify="right")
    for head, head_shots in grid.columns.items():
        rows = [
            training
            for training in grid.trainings
            if any((training, head, shots) in grid.cells for shots in head_shots)
        ]
        for place, training in enumerate(rows):
            cells = []
            for shots in columns:
                key = (training, head, shots if shots in head_shots else None)
                row = grid.cells.get(key)
                text = "" if row is None else _value(row)
                cells.append(Text(text, style="bold" if key in grid.best else ""))
            name = Text(shorten(head_label(head), 40)) if place == 0 else Text("")
            table.add_row(
                name,
                Text(shorten(training_label(training), 40)),
                *cells,
                end_section=place == len(rows) - 1,
            )
    return table


def _value(row: SummaryRow) -> str:
    return f"{percent(row['mean'])} {interval(row['ci_low'], row['ci_high'])}".rstrip()
