"""Curves with bands: the score against one swept factor, a line for each value of another.

python -m gist_ray.sweep_report.curves FOLDER --x matching.k --by study.shots --out k.svg
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gist_ray import storage
from gist_ray.errors import UserError
from gist_ray.page.svg import drawing, plain_axes, svg_document
from gist_ray.page.wording import shorten
from gist_ray.sweep_report.axes import score_axis, value_axis
from gist_ray.sweep_report.factors import Factor, level, level_label, make_factor
from gist_ray.sweep_report.scores import (
    HEADLINE_HEAD,
    TEST_METRIC,
    Measure,
    Score,
    held_out_measure,
    mean_score,
    measures_test,
    over_seeds,
    val_measure,
)
from gist_ray.sweep_report.tables import Trial, read_sweep

MAX_LINES = 8
# Okabe and Ito's, without their yellow, which a light ground swallows
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#222222", "#777777")
MARKERS = "osD^vPX*"


@dataclass(frozen=True)
class Point:
    """One place of a line: the mean over seeds, and its interval where there is one."""

    x: float
    mean: float
    low: float | None
    high: float | None


def curves(
    trials: Sequence[Trial], measure: Measure, x: str, by: str | None, confidence: float = 0.95
) -> Figure | None:
    """The figure; None where no trial has a score and the keys `x` and `by`.

    What else was swept is averaged over: at each point first within a seed, then over seeds, so
    the band is Student's t over seeds. Of a single trial it is its interval over test images.
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
        names = list(lines.places)[:MAX_LINES] if lines else [None]
        for number, name in enumerate(names):
            members = [trial for trial in used if by is None or level(trial, by) == name]
            label = None if lines is None else lines.level_labels[number]
            _line(axes, line_points(members, measure, axis, confidence), label, number, len(names),
                  numeric=lines is not None and len(names) > 2 and lines.ordered)  # fmt: skip
        value_axis(axes, axis)
        score_axis(axes, measure)
        plain_axes(axes)
        axes.grid(axis="y", color="#e8e8e8", linewidth=0.6)
        if lines is not None:
            figure.legend(title=lines.label, loc="outside right upper", frameon=False,
                          handlelength=1.6)  # fmt: skip
    return figure


def line_points(
    trials: Sequence[Trial], measure: Measure, axis: Factor, confidence: float
) -> list[Point]:
    """Rising in x. A single trial at a place keeps its own interval."""
    places: dict[float, dict[int, list[Score]]] = {}
    for trial in trials:
        place = axis.place(trial)
        if place is not None:
            seeds = places.setdefault(place, {})
            seeds.setdefault(trial.seed, []).append(measure.scores[trial.trial_id])
    made = []
    for place, by_seed in sorted(places.items()):
        means = [mean_score(scores) for scores in by_seed.values()]
        mean, low, high = over_seeds(means, confidence)
        if mean is not None:
            made.append(Point(place, mean, low, high))
    return made


def _line(
    axes: Axes, points: Sequence[Point], label: str | None, number: int, total: int, numeric: bool
) -> None:
    colour = _colour(number, total, numeric)
    x = [point.x for point in points]
    # a label that begins with an underscore would be left out of the legend
    shown = None if label is None else shorten(f"\N{ZERO WIDTH SPACE}{label}", 32)
    means = [point.mean for point in points]
    axes.plot(x, means, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4.5,
              linewidth=1.5, markeredgecolor="white", markeredgewidth=0.6, label=shown)  # fmt: skip
    banded = [(p.x, p.low, p.high) for p in points if p.low is not None and p.high is not None]
    if banded:
        places, lows, highs = (list(column) for column in zip(*banded, strict=True))
        axes.vlines(places, lows, highs, color=colour, linewidth=1.1, alpha=0.5)
        axes.fill_between(places, lows, highs, color=colour, alpha=0.1, linewidth=0)


def _colour(number: int, total: int, ordered: bool) -> object:
    """Numbers go from dark to light; words have colours that are told apart."""
    if ordered:
        return matplotlib.colormaps["viridis"](0.7 * number / (total - 1))
    return COLOURS[number % len(COLOURS)]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gist_ray.sweep_report.curves", description=__doc__
    )
    parser.add_argument("folder", help="<root>/sweeps/<name>, local or s3://")
    parser.add_argument("--x", required=True, help="the key along the axis, such as study.shots")
    parser.add_argument("--by", help="a line for each value of this key")
    parser.add_argument("--out", required=True, help="the SVG file to write")
    parser.add_argument("--head", help="of test.parquet instead of val, such as linear_probe")
    parser.add_argument("--metric", default=TEST_METRIC, help="of test.parquet")
    parser.add_argument("--where", nargs="*", default=[], metavar="KEY=VALUE", help="only these")
    parser.add_argument("--confidence", type=float, default=0.95)
    args = parser.parse_args()
    try:
        write_curves(
            args.folder, args.x, args.by, args.out, args.head, args.metric,
            dict(pair.partition("=")[::2] for pair in args.where), args.confidence,
        )  # fmt: skip
    except UserError as error:
        print("\n".join(error.problems), file=sys.stderr)
        sys.exit(2)


def write_curves(
    folder: str,
    x: str,
    by: str | None,
    out: str,
    head: str | None = None,
    metric: str = TEST_METRIC,
    where: Mapping[str, str] | None = None,
    confidence: float = 0.95,
) -> None:
    """Write the SVG file of a sweep's curves: val accuracy, or with `head`, or where the sweep
    measures test, a metric of the test images.

    where: key -> value as it is printed, to keep some trials only. Raises UserError where there is
    nothing to draw.
    """
    sweep = read_sweep(folder)
    if head is None and not measures_test(sweep):
        measure = val_measure(sweep, "val_accuracy")
    else:
        measure = held_out_measure(sweep, head or HEADLINE_HEAD, metric)
    trials = [
        trial
        for trial in sweep.trials
        if all(key in trial.params and level_label(trial.params[key]) == value
               for key, value in (where or {}).items())
    ]  # fmt: skip
    figure = curves(trials, measure, x, by, confidence)
    if figure is None:
        swept = sorted({key for trial in sweep.trials for key in trial.params})
        wanted = " and ".join(key for key in (x, by) if key)
        only = f" where {dict(where)}" if where else ""
        raise UserError(
            f"{folder}: no trial has {measure.label} and values of {wanted}{only}. The keys are "
            f"{', '.join(swept)}."
        )
    with drawing():
        figure.patch.set_facecolor("white")
        storage.write_text(out, svg_document(figure, transparent=False))


if __name__ == "__main__":
    main()
