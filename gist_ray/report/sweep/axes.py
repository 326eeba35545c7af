"""Axes of swept values and of scores, the same in all plots."""

import json

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from gist_ray.report.page.wording import shorten
from gist_ray.report.sweep.factors import Factor, level_label
from gist_ray.report.sweep.scores import Measure

MAX_TICKS = 8
MAX_WORDS = 12


def value_axis(axes: Axes, factor: Factor, label: bool = True) -> None:
    """Sets the x axis of a factor, with its values as ticks while they are few."""
    if label:
        axes.set_xlabel(factor.label, color="#444444")
    if factor.log:
        axes.set_xscale("log")
    if factor.numeric and len(factor.places) > MAX_TICKS:
        axes.margins(x=0.05)
        return
    ticks = list(factor.places.items())
    if len(ticks) > MAX_WORDS:
        ticks = ticks[:: -(-len(ticks) // MAX_WORDS)]
    names = [shorten(level_label(json.loads(value)), 18) for value, _ in ticks]
    axes.set_xticks([place for _, place in ticks], names)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    if sum(map(len, names)) > 32:
        axes.tick_params(axis="x", labelrotation=30)
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.margins(x=0.08)


def score_axis(axes: Axes, measure: Measure) -> None:
    """Sets the y axis: fractions in per cent, differences of them in points."""
    if measure.unit:
        sign = "+" if measure.unit == "points" else ""
        form = f"{sign}.4g"
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{100 * value:{form if value else '.4g'}}")
        )
    axes.set_ylabel(measure.label_with_unit, color="#444444")
    axes.locator_params(axis="y", nbins=6)
