"""The results as dots with intervals: one row of panels per head, one panel per number of shots."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gist_ray.report.page.svg import (
    CHANCE,
    FOCUS,
    OTHER,
    REFERENCE,
    drawing,
    inline_svg,
    plain_axes,
    svg_document,
)
from gist_ray.report.page.wording import shorten
from gist_ray.report.results import ResultGrid
from gist_ray.report.wording import head_label, shots_label, training_label

WIDTH_IN, LEFT_IN, PANEL_GAP_IN = 9.2, 1.55, 0.22
TITLE_IN, LINE_IN, AXIS_IN = 0.34, 0.235, 0.42
MAX_PANELS_PER_HEAD, MAX_HEADS, MAX_TRAININGS = 6, 8, 16

Seeds = Mapping[tuple[str, str, int | None], Sequence[float]]


def results_plot(
    grid: ResultGrid, seeds: Seeds, *, focus: str, reference: str, chance: float | None
) -> Markup:
    """Returns inline SVG of a grid.

    Args:
        seeds: (training, head, shots) -> the value of each seed, drawn as small dots.
        focus: the training that is highlighted.
        reference: the training whose mean is continued as a line through the panel.
        chance: the level of guessing, drawn where it is in a panel's range.
    """
    heads = {
        head: shots[:MAX_PANELS_PER_HEAD] for head, shots in list(grid.columns.items())[:MAX_HEADS]
    }
    trainings = {
        head: [
            training
            for training in grid.trainings
            if any((training, head, shots) in grid.cells for shots in grid.columns[head])
        ][:MAX_TRAININGS]
        for head in heads
    }
    heights = [TITLE_IN + LINE_IN * len(trainings[head]) + AXIS_IN for head in heads]
    with drawing():
        figure = Figure(figsize=(WIDTH_IN, sum(heights)))
        top = sum(heights)
        for (head, all_shots), height in zip(heads.items(), heights, strict=True):
            span = max(_extent(grid, seeds, head=head, shots=shots)[1] for shots in all_shots)
            free = WIDTH_IN - LEFT_IN - 0.1 - PANEL_GAP_IN * (len(all_shots) - 1)
            width = min(free / len(all_shots), 3.6)
            title_y = (top - TITLE_IN + 0.09) / sum(heights)
            figure.text(0.0, title_y, shorten(head_label(head), 28), weight="bold", va="baseline")
            for column, shots in enumerate(all_shots):
                left = LEFT_IN + column * (width + PANEL_GAP_IN)
                bottom = top - height + AXIS_IN
                box = (left, bottom, width, height - TITLE_IN - AXIS_IN)
                axes = figure.add_axes(
                    (box[0] / WIDTH_IN, box[1] / sum(heights), box[2] / WIDTH_IN,
                     box[3] / sum(heights))
                )  # fmt: skip
                _panel(
                    axes,
                    grid,
                    seeds,
                    head=head,
                    shots=shots,
                    trainings=trainings[head],
                    focus=focus,
                    reference=reference,
                )
                middle, _ = _extent(grid, seeds, head=head, shots=shots)
                limits = middle - 0.54 * span, middle + 0.54 * span
                axes.set_xlim(limits)
                axes.set_title(shots_label(shots), fontsize=8.5, pad=5)
                if chance is not None and limits[0] <= 100 * chance <= limits[1]:
                    axes.axvline(100 * chance, color=CHANCE, linewidth=0.8, dashes=(1.5, 1.5))
                if column:
                    axes.tick_params(labelleft=False)
            top -= height
        document = svg_document(figure)
    return inline_svg(document, "results", "Results with intervals, as in the table")


def _panel(
    axes: Axes,
    grid: ResultGrid,
    seeds: Seeds,
    *,
    head: str,
    shots: int | None,
    trainings: Sequence[str],
    focus: str,
    reference: str,
) -> None:
    for place, training in enumerate(trainings):
        row = grid.cells.get((training, head, shots))
        if row is None:
            continue
        colour = {focus: FOCUS, reference: REFERENCE}.get(training, OTHER)
        mean = 100 * row["mean"]
        if training == reference:
            axes.axvline(mean, color="#bbbbbb", linewidth=0.7, zorder=0)
        if row["ci_low"] is not None and row["ci_high"] is not None:
            ends = [100 * row["ci_low"], 100 * row["ci_high"]]
            axes.plot(ends, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        for value in seeds.get((training, head, shots), ()):
            axes.plot([100 * value], [place + 0.27], ".", color=colour, markersize=2.5, alpha=0.6)
        marker = "D" if training == focus else "o"
        axes.plot([mean], [place], marker, color=colour, markersize=5.5, markeredgecolor="white")
    axes.set_ylim(len(trainings) - 0.4, -0.6)
    axes.set_yticks(range(len(trainings)), [shorten(training_label(t), 24) for t in trainings])
    for label, training in zip(axes.get_yticklabels(), trainings, strict=True):
        colour = {focus: FOCUS, reference: REFERENCE}.get(training, "#444444")
        label.set(color=colour, fontweight="bold" if training == focus else "normal")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color="#e8e8e8", linewidth=0.6)
    plain_axes(axes)


def _extent(grid: ResultGrid, seeds: Seeds, *, head: str, shots: int | None) -> tuple[float, float]:
    """Returns (middle, width) of the values that a panel shows, in per cent."""
    values: list[float] = []
    for key, row in grid.cells.items():
        if key[1:] == (head, shots):
            ends = (row["mean"], row["ci_low"], row["ci_high"], *seeds.get(key, ()))
            values += [100 * value for value in ends if value is not None]
    low, high = min(values), max(values)
    return (low + high) / 2, max(high - low, 1.0)
