"""The results as a table for the terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from gist_ray.report.data import SummaryRow
from gist_ray.report.results import result_grid
from gist_ray.report.wording import (
    head_label,
    interval,
    metric_label,
    percent,
    shorten,
    shots_label,
    training_label,
)


def results_table(summary: Sequence[SummaryRow], metric: str = "top1") -> Table:
    """One row per method, grouped by head, and one column per number of shots.

    Values in per cent with their 95 % interval; the best of each head and column is bold.
    """
    grid = result_grid(summary, metric)
    all_shots = sorted(
        {shots for columns in grid.columns.values() for shots in columns if shots is not None}
    )
    columns: list[int | None] = [*all_shots] or [None]
    table = Table(title=f"{metric_label(metric)}, % [95 % interval]", title_justify="left")
    table.add_column("evaluated by")
    table.add_column("trained on")
    for shots in columns:
        table.add_column("" if shots is None else shots_label(shots), justify="right")
    for head, head_shots in grid.columns.items():
        rows = [
            training
            for training in grid.trainings
            if any((training, head, shots) in grid.cells for shots in head_shots)
        ]
        for place, training in enumerate(rows):
            cells = []
            for shots in columns:
                # a head that never depends on shots has one column of its own, None
                key = (training, head, None if head_shots == [None] else shots)
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
