"""Small plots of the trials: one per factor, and the learning curves."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gist_ray.report.page.svg import (
    CHANCE,
    FOCUS,
    OTHER,
    drawing,
    inline_svg,
    plain_axes,
    svg_document,
)
from gist_ray.report.sweep.axes import score_axis, value_axis
from gist_ray.report.sweep.configurations import Configuration
from gist_ray.report.sweep.factors import Factor
from gist_ray.report.sweep.lines import line_points
from gist_ray.report.sweep.scores import Measure
from gist_ray.report.sweep.tables import Epoch, Sweep, Trial

PANEL_IN = (3.7, 2.5)
MAX_LEARNING_CURVES = 200
# Any: matplotlib types the keys one by one
PLAIN_DOT: Any = {"marker": "o", "color": OTHER, "markersize": 4.5, "alpha": 0.65, "zorder": 2}
CHOSEN_DOT: Any = {"marker": "D", "color": FOCUS, "markersize": 6, "zorder": 4}
MEAN_BAR: Any = {"color": "#222222", "linewidth": 1, "marker": "_", "markersize": 13,
                 "markeredgewidth": 1.6, "zorder": 3}  # fmt: skip
ENDS = {"stopped": "x", "failed": "s"}
"""status -> marker at the end of a learning curve that is incomplete."""


def factor_panel(
    factor: Factor,
    trials: Sequence[Trial],
    measure: Measure,
    *,
    chosen: Configuration | None,
    confidence: float,
    number: int,
) -> Markup:
    """Returns inline SVG with a dot per trial, the chosen configuration's highlighted. Values tried
    more than once have their means, joined by a line if the values are numbers."""
    places = {
        trial.trial_id: place
        for trial in trials
        if trial.trial_id in measure.scores and (place := factor.place(trial)) is not None
    }
    chosen_ids = chosen.trial_ids if chosen else set()
    with drawing():
        figure = Figure(figsize=PANEL_IN, layout="constrained")
        axes = figure.add_subplot()
        for own, look in ((False, PLAIN_DOT), (True, CHOSEN_DOT)):
            dots = [trial_id for trial_id in places if (trial_id in chosen_ids) == own]
            x = [places[trial_id] for trial_id in dots]
            y = [measure.scores[trial_id].value for trial_id in dots]
            axes.plot(x, y, linestyle="", markeredgecolor="white", markeredgewidth=0.5, **look)
        tried = Counter(places.values())
        scored = [trial for trial in trials if trial.trial_id in places]
        points = line_points(scored, measure, factor, confidence=confidence)
        means = [point for point in points if tried[point.x] > 1]
        if len(means) > 1:
            axes.plot([p.x for p in means], [p.mean for p in means],
                      linestyle="-" if factor.ordered else "", **MEAN_BAR)  # fmt: skip
        value_axis(axes, factor, label=False)
        score_axis(axes, measure)
        plain_axes(axes)
        axes.grid(axis="y", color="#e8e8e8", linewidth=0.6)
        document = svg_document(figure)
    return inline_svg(document, f"factor{number}", f"{measure.label} against {factor.label}")


def learning_curves(sweep: Sweep, chosen: Configuration | None) -> list[Markup]:
    """Returns inline SVGs of val score and training loss after each epoch, a line per trial; an
    empty list without epochs."""
    chosen_ids = chosen.trial_ids if chosen else set()
    shown = [trial for trial in sweep.trials if trial.trial_id in sweep.epochs]
    shown = sorted(shown[:MAX_LEARNING_CURVES], key=lambda trial: trial.trial_id in chosen_ids)
    made = []
    for name, label in (("val_score", "val score"), ("train_loss", "training loss")):
        curves = [(trial, _steps(sweep.epochs[trial.trial_id], name)) for trial in shown]
        curves = [(trial, steps) for trial, steps in curves if steps]
        if not curves:
            continue
        with drawing():
            figure = Figure(figsize=(4.6, 3.0), layout="constrained")
            axes = figure.add_subplot()
            for trial, steps in curves:
                _learning_curve(axes, trial, steps, is_chosen=trial.trial_id in chosen_ids)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epoch", color="#444444")
            axes.set_ylabel(label, color="#444444")
            plain_axes(axes)
            axes.grid(axis="y", color="#e8e8e8", linewidth=0.6)
            document = svg_document(figure)
        made.append(inline_svg(document, name.replace("_", "-"), f"{label} after each epoch"))
    return made


def _steps(epochs: Sequence[Epoch], name: str) -> list[tuple[int, float]]:
    values = [(epoch.epoch, getattr(epoch, name)) for epoch in epochs]
    return [(epoch, value) for epoch, value in values if value is not None and np.isfinite(value)]


def _learning_curve(
    axes: Axes, trial: Trial, steps: Sequence[tuple[int, float]], *, is_chosen: bool
) -> None:
    colour = FOCUS if is_chosen else CHANCE if trial.status == "stopped" else OTHER
    epochs, values = zip(*steps, strict=True)
    axes.plot(epochs, values, color=colour, linewidth=1.8 if is_chosen else 0.9,
              alpha=0.6 if colour == OTHER else 1, zorder=3 if is_chosen else 2,
              marker="." if len(steps) == 1 else None)  # fmt: skip
    if end := ENDS.get(trial.status):
        axes.plot(epochs[-1], values[-1], end, color=colour, markersize=4.5)
