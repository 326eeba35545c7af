"""Lines with bands: the score against one swept factor, a line for each value of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from gist_ray.report.page.svg import REFERENCE, drawing, plain_axes
from gist_ray.report.page.wording import shorten
from gist_ray.report.sweep.axes import score_axis, value_axis
from gist_ray.report.sweep.factors import Factor, level, make_factor
from gist_ray.report.sweep.scores import Measure, Score, mean_score, over_units
from gist_ray.report.sweep.tables import SHOTS, Trial

MAX_LINES = 8
# Okabe and Ito's, without their yellow, which a light ground swallows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222", "#777777")
MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class Point:
    """One point of a line: the mean over seeds or worlds, and its interval if it has one."""

    x: float
    mean: float
    low: float | None
    high: float | None


def line_figure(
    trials: Sequence[Trial],
    measure: Measure,
    x: str,
    *,
    by: str | None,
    confidence: float,
    frozen: Measure | None = None,
) -> Figure | None:
    """Returns the figure; None if no trial has a score and the keys `x` and `by`.

    Each point averages over everything else that was swept: first within a seed (or world), then
    over seeds (or worlds), so the band is Student's t over them. The band of a single trial is its
    interval over test images. frozen: measure of the frozen model, drawn as a dashed line if `x`
    is the number of shots.
    """
    used = [
        trial
        for trial in trials
        if trial.trial_id in measure.scores and {x, *([by] if by else [])} <= trial.params.keys()
    ]
    if not used:
        return None
    axis = make_factor(used, x)
    lines = make_factor(used, by) if by else None
    with drawing():
        figure = Figure(figsize=(5.6, 3.5), layout="constrained")
        axes = figure.add_subplot()
        _draw_lines(axes, used, measure, axis=axis, lines=lines, confidence=confidence)
        if frozen is not None and x == SHOTS:
            points = line_points(used, frozen, axis, confidence=confidence)
            places, means = [p.x for p in points], [p.mean for p in points]
            axes.plot(places, means, "--", color=REFERENCE, linewidth=1.1, label="frozen")
        if measure.unit == "points":
            axes.axhline(0, color="#999999", linewidth=0.8, linestyle="--")
        value_axis(axes, axis)
        score_axis(axes, measure)
        plain_axes(axes)
        axes.grid(axis="y", color="#e8e8e8", linewidth=0.6)
        if axes.get_legend_handles_labels()[0]:
            title = lines.label if lines else None
            figure.legend(title=title, loc="outside right upper", frameon=False, handlelength=1.6)
    return figure


def line_points(
    trials: Sequence[Trial], measure: Measure, axis: Factor, *, confidence: float
) -> list[Point]:
    """Returns points with rising x, of the trials that have a score. A single trial at a place
    keeps its own interval."""
    places: dict[float, dict[int, list[Score]]] = {}
    for trial in trials:
        place, score = axis.place(trial), measure.scores.get(trial.trial_id)
        if place is not None and score is not None:
            places.setdefault(place, {}).setdefault(trial.unit, []).append(score)
    made = []
    for place, by_unit in sorted(places.items()):
        means = [mean_score(scores) for scores in by_unit.values()]
        mean, low, high = over_units(means, confidence, measure.bounds)
        if mean is not None:
            made.append(Point(place, mean, low, high))
    return made


def _draw_lines(
    axes: Axes,
    trials: Sequence[Trial],
    measure: Measure,
    *,
    axis: Factor,
    lines: Factor | None,
    confidence: float,
) -> None:
    if lines is None:
        points = line_points(trials, measure, axis, confidence=confidence)
        _draw_line(axes, points, colour=COLOURS[0], marker="o", label=None)
        return
    values = list(zip(lines.places, lines.level_labels, strict=True))[:MAX_LINES]
    for number, (value, label) in enumerate(values):
        members = [trial for trial in trials if level(trial, lines.key) == value]
        colour = _colour(number, len(values), lines.ordered and len(values) > 2)
        points = line_points(members, measure, axis, confidence=confidence)
        # a label that begins with an underscore would be left out of the legend
        shown = shorten(f"\N{ZERO WIDTH SPACE}{label}", 32)
        _draw_line(axes, points, colour=colour, marker=MARKERS[number], label=shown)


def _draw_line(
    axes: Axes, points: Sequence[Point], *, colour: str, marker: str, label: str | None
) -> None:
    axes.plot([point.x for point in points], [point.mean for point in points], color=colour,
              marker=marker, markersize=4.5, linewidth=1.5, markeredgecolor="white",
              markeredgewidth=0.6, label=label)  # fmt: skip
    banded = [(p.x, p.low, p.high) for p in points if p.low is not None and p.high is not None]
    if banded:
        places, lows, highs = (list(column) for column in zip(*banded, strict=True))
        axes.vlines(places, lows, highs, color=colour, linewidth=1.1, alpha=0.5)
        axes.fill_between(places, lows, highs, color=colour, alpha=0.1, linewidth=0)


def _colour(number: int, total: int, ordered: bool) -> str:
    """Returns a colour: from dark to light for ordered values, a distinct one for others."""
    if ordered:
        return to_hex(matplotlib.colormaps["viridis"](0.7 * number / (total - 1)))
    return COLOURS[number]
