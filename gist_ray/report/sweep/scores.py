"""Scores of trials: of the linear probe, unless another head is asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.report.page.wording import interval, percent, points, shorten
from gist_ray.report.sweep.tables import Sweep
from gist_ray.report.wording import LOWER_IS_BETTER, metric_label

VAL_LABELS = {"val_accuracy": "val accuracy", "val_log_loss": "val log loss"}
TEST_METRIC = "top1"
HEADLINE_HEAD = "linear_probe"
FROZEN = "frozen"


@dataclass(frozen=True)
class Score:
    """value: a fraction, or nats for a log loss. low, high: its interval over test images, if it
    has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Measure:
    """A kind of score. scores: {trial_id: score} of the trials that have one."""

    label: str
    higher_is_better: bool
    # fractions are printed in per cent, differences of them in points; a log loss has no unit
    unit: Literal["%", "points", ""]
    scores: Mapping[str, Score]

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and largest possible value."""
        return {"%": (0.0, 1.0), "points": (-1.0, 1.0), "": (0.0, math.inf)}[self.unit]

    @property
    def label_with_unit(self) -> str:
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def text(self, value: float | None) -> str:
        if value is None or self.unit == "%":
            return percent(value)
        return points(value) if self.unit else f"{value:.3f}"

    def interval(self, low: float | None, high: float | None) -> str:
        if self.unit or low is None or high is None:
            return interval(low, high)
        return f"[{low:.3f}, {high:.3f}]".replace("-", "−")


def measures_test(sweep: Sweep) -> bool:
    return sweep.info.get("measure") == "test"


def val_measure(sweep: Sweep, metric: str | None = None) -> Measure:
    """Returns `metric` on val of the trials that ended well with a finite value; without `metric`
    the one that the sweep chooses by."""
    metric = metric or str(sweep.info.get("metric", {}).get("name", "val_accuracy"))
    is_loss = "loss" in metric
    scores = {
        trial.trial_id: Score(value)
        for trial in sweep.trials
        if trial.status == "ok"
        and (value := trial.val.get(metric)) is not None
        and math.isfinite(value)
    }
    return Measure(
        VAL_LABELS.get(metric, shorten(metric, 40)), not is_loss, "" if is_loss else "%", scores
    )


def held_out_measure(sweep: Sweep, head: str = HEADLINE_HEAD, metric: str = TEST_METRIC) -> Measure:
    """Returns a metric of a head on the test split: of the fine-tuned model, or of the frozen
    one where a trial has no other."""
    frozen, tuned = _of_head(sweep, head, metric)
    return _measure(metric, {**frozen, **tuned})


def frozen_measure(sweep: Sweep, head: str = HEADLINE_HEAD, metric: str = TEST_METRIC) -> Measure:
    """Returns the metric of the frozen model on the test split, where it was measured."""
    return _measure(metric, _of_head(sweep, head, metric)[0])


def gain_measure(sweep: Sweep, head: str = HEADLINE_HEAD, metric: str = TEST_METRIC) -> Measure:
    """Returns the fine-tuned model's metric minus the frozen one's, on the same draw and test
    images, of the trials that measured both."""
    frozen, tuned = _of_head(sweep, head, metric)
    scores = {
        trial_id: Score(score.value - frozen[trial_id].value)
        for trial_id, score in tuned.items()
        if trial_id in frozen
    }
    better = metric not in LOWER_IS_BETTER
    return Measure(f"gain in test {metric_label(metric)}", better, "points", scores)


def _of_head(sweep: Sweep, head: str, metric: str) -> tuple[dict[str, Score], dict[str, Score]]:
    """Returns {trial_id: score} on the test split of the frozen model, and of the fine-tuned
    one."""
    found: tuple[dict[str, Score], dict[str, Score]] = {}, {}
    for row in sweep.test:
        if (row["method"], row["metric"]) == (head, metric):
            score = Score(row["value"], row["ci_low"], row["ci_high"])
            found[row["features"] != FROZEN][row["trial_id"]] = score
    return found


def _measure(metric: str, scores: Mapping[str, Score]) -> Measure:
    return Measure(f"test {metric_label(metric)}", metric not in LOWER_IS_BETTER, "%", scores)


def main_measure(sweep: Sweep) -> Measure:
    """Returns the measure that ranks configurations: val, unless the sweep measures test."""
    return held_out_measure(sweep) if measures_test(sweep) else val_measure(sweep)


def accuracy_measure(sweep: Sweep) -> Measure:
    """Returns the accuracy that curves show: on val, unless the sweep measures test."""
    return held_out_measure(sweep) if measures_test(sweep) else val_measure(sweep, "val_accuracy")


def over_units(
    scores: Sequence[Score], confidence: float, bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float | None, float | None, float | None]:
    """Returns (mean, low, high) of one score per seed or world. The interval is Student's t over
    them, cut to `bounds`; of a single score it is the one over test images."""
    if not scores:
        return None, None, None
    if len(scores) == 1:
        return scores[0].value, scores[0].low, scores[0].high
    values = np.array([score.value for score in scores])
    ends = seeds_interval(values, confidence)
    if ends is None:
        return float(values.mean()), None, None
    return float(values.mean()), max(ends[0], bounds[0]), min(ends[1], bounds[1])


def mean_score(scores: Sequence[Score]) -> Score:
    """Returns the mean of one seed or world, without interval; a single score keeps its own."""
    return scores[0] if len(scores) == 1 else Score(float(np.mean([s.value for s in scores])))
