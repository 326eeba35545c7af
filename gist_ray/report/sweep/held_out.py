"""The test metrics of the chosen configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.evaluation.significance import detectable_over_draws
from gist_ray.report.data import Pair
from gist_ray.report.page.wording import interval, or_more, percent, points
from gist_ray.report.sweep.scores import (
    FROZEN,
    HEADLINE_HEAD,
    TEST_METRIC,
    Score,
    mean_score,
    over_units,
)
from gist_ray.report.sweep.tables import Sweep
from gist_ray.report.wording import metric_label, pair_label, shots_label


@dataclass(frozen=True)
class HeldOut:
    """A method at one number of shots. cells: metric -> (mean, low, high); the interval is over
    seeds, or for one seed over test images."""

    pair: Pair
    shots: str
    cells: dict[str, tuple[float | None, float | None, float | None]]


def held_out_rows(sweep: Sweep, trial_ids: set[str], confidence: float) -> list[HeldOut]:
    """Returns rows ordered by: the fine-tuned model first, the linear probe first, shots rising,
    all images last. A result that depends on no draw, such as the frozen model's zero-shot
    heads, appears once."""
    groups: dict[tuple[Pair, int | None, bool], dict[str, list[Score]]] = {}
    for row in _rows_of(sweep, trial_ids):
        is_of_draw = row["seed"] is not None
        metrics = groups.setdefault((_pair(row), row["shots"], is_of_draw), {})
        metrics.setdefault(row["metric"], []).append(_score(row))
    made = []
    for (pair, shots, is_of_draw), metrics in sorted(
        groups.items(), key=lambda group: _order(*group[0][:2])
    ):
        if not is_of_draw:  # every trial has measured the same
            metrics = {name: scores[:1] for name, scores in metrics.items()}
        cells = {name: over_units(scores, confidence) for name, scores in metrics.items()}
        made.append(HeldOut(pair, shots_label(shots) if is_of_draw else "any", cells))
    return made


def held_out_sentence(sweep: Sweep, trial_ids: set[str], confidence: float) -> str:
    """Returns the test result of the linear probe, and the fine-tuned model's lead over the
    frozen one on the same draws; "" if test was not read."""
    by_pair: dict[Pair, dict[int, list[Score]]] = {}
    for row in _rows_of(sweep, trial_ids):
        if (row["method"], row["metric"]) == (HEADLINE_HEAD, TEST_METRIC):
            seeds = by_pair.setdefault(_pair(row), {})
            seeds.setdefault(row["seed"], []).append(_score(row))
    means = {
        pair: {seed: mean_score(scores) for seed, scores in sorted(seeds.items())}
        for pair, seeds in sorted(by_pair.items(), key=lambda entry: _order(entry[0], None))
    }
    parts = []
    for pair, of_seeds in means.items():
        mean, low, high = over_units(list(of_seeds.values()), confidence)
        parts.append(f"{pair_label(pair)} {percent(mean)} % {interval(low, high)}".rstrip())
    if not parts:
        return ""
    sentence = f"{metric_label(TEST_METRIC)} of {'; '.join(parts)}"
    reference = means.get((FROZEN, HEADLINE_HEAD), {})
    first = next(iter(means.values()))
    gains = np.array([first[s].value - reference[s].value for s in first if s in reference])
    ends = seeds_interval(gains, confidence)
    if first is reference or ends is None:
        return sentence
    sentence += f": a difference of {points(gains.mean())} points {interval(*ends)} over seeds"
    if ends[0] <= 0 <= ends[1]:
        sentence += ", which includes zero"
    if detectable := detectable_over_draws(gains, confidence):
        sentence += f" ({len(gains)} seeds could have shown {or_more(detectable)})"
    return sentence


def _rows_of(sweep: Sweep, trial_ids: set[str]) -> Sequence[dict[str, Any]]:
    return [r for r in sweep.test if r["trial_id"] in trial_ids]


def _score(row: dict[str, Any]) -> Score:
    return Score(row["value"], row["ci_low"], row["ci_high"])


def _pair(row: dict[str, Any]) -> Pair:
    return row["features"], row["method"]


def _order(pair: Pair, shots: int | None) -> tuple[bool, bool, str, float]:
    training, head = pair
    return (
        training == FROZEN,
        head != HEADLINE_HEAD,
        head,
        float("inf") if shots is None else shots,
    )
