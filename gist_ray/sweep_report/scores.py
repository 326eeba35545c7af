"""The numbers that trials are judged by: of the linear probe, unless another head is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.page.wording import interval, percent
from gist_ray.report.wording import LOWER_IS_BETTER, metric_label, split_method
from gist_ray.sweep_report.tables import Sweep

VAL_LABELS = {"val_accuracy": "val accuracy", "val_log_loss": "val log loss"}
TEST_METRIC = "top1"
HEADLINE_HEAD = "linear_probe"
FROZEN = "frozen"


@dataclass(frozen=True)
class Score:
    """value: a fraction, or nats for a log loss. low, high: its interval over test images, where
    it has one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Measure:
    """What a number of trials is. `scores` holds those that have one, by trial_id."""

    label: str
    higher_is_better: bool
    # a fraction, printed in per cent
    is_fraction: bool
    scores: Mapping[str, Score]

    def text(self, value: float | None) -> str:
        if value is None or self.is_fraction:
            return percent(value)
        return f"{value:.3f}"

    def interval(self, low: float | None, high: float | None) -> str:
        if self.is_fraction or low is None or high is None:
            return interval(low, high)
        return f"[{low:.3f}, {high:.3f}]".replace("-", "−")


def measures_test(sweep: Sweep) -> bool:
    return sweep.info.get("measure") == "test"


def val_measure(sweep: Sweep, metric: str | None = None) -> Measure:
    """A val metric of the trials that ran to the end; without `metric` what is chosen by."""
    metric = metric or str(sweep.info.get("metric", {}).get("name", "val_accuracy"))
    is_loss = "loss" in metric
    scores = {
        trial.trial_id: Score(value)
        for trial in sweep.trials
        if trial.status == "ok" and (value := trial.val.get(metric)) is not None
    }
    return Measure(VAL_LABELS.get(metric, metric), not is_loss, not is_loss, scores)


def held_out_measure(sweep: Sweep, head: str = HEADLINE_HEAD, metric: str = TEST_METRIC) -> Measure:
    """A metric of a head on the test split: of the fine-tuned model, or of the one as it came where
    a trial has no other."""
    scores: dict[str, Score] = {}
    for row in sorted(sweep.test, key=lambda row: split_method(row["method"])[0] != FROZEN):
        if (split_method(row["method"])[1], row["metric"], row["split"]) == (head, metric, "test"):
            scores[row["trial_id"]] = Score(row["value"], row["ci_low"], row["ci_high"])
    return Measure(f"test {metric_label(metric)}", metric not in LOWER_IS_BETTER, True, scores)


def main_measure(sweep: Sweep) -> Measure:
    """The number that configurations are ranked by: val, unless the sweep measures test."""
    return held_out_measure(sweep) if measures_test(sweep) else val_measure(sweep)


def accuracy_measure(sweep: Sweep) -> Measure:
    """What curves show."""
    return held_out_measure(sweep) if measures_test(sweep) else val_measure(sweep, "val_accuracy")


def over_seeds(
    scores: Sequence[Score], confidence: float
) -> tuple[float | None, float | None, float | None]:
    """Mean and interval: Student's t over seeds; of one seed the interval over test images."""
    if not scores:
        return None, None, None
    if len(scores) == 1:
        return scores[0].value, scores[0].low, scores[0].high
    values = np.array([score.value for score in scores])
    low, high = seeds_interval(values, confidence) or (None, None)
    return float(values.mean()), low, high


def mean_score(scores: Sequence[Score]) -> Score:
    """Of one seed, over whatever else was varied; a single one keeps its interval."""
    return scores[0] if len(scores) == 1 else Score(float(np.mean([s.value for s in scores])))
