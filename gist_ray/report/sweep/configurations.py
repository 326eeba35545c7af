"""Configurations: groups of trials that differ only in their draw of the images."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gist_ray.report.sweep.scores import Measure, Score, mean_score, over_units
from gist_ray.report.sweep.tables import SHOTS, STATUSES, Sweep, Trial


@dataclass(frozen=True)
class Configuration:
    """Trials with the same params, one per draw (a seed and a number of shots).

    mean, low, high: over the units (seeds, or worlds) that have a result, each averaged over its
    trials. All are None without a result; low and high are None for one unit with no interval of
    its own.
    """

    # without the number of shots
    params: Mapping[str, Any]
    trials: list[Trial]
    by_unit: dict[int, float]
    # JSON of the number of shots -> mean
    by_shots: dict[str, float]
    mean: float | None
    low: float | None
    high: float | None
    # draws with a score
    num_scored: int
    # every draw that any configuration was tried with has a score
    complete: bool

    @property
    def key(self) -> str:
        return json.dumps(self.params, sort_keys=True)

    @property
    def trial_ids(self) -> set[str]:
        return {trial.trial_id for trial in self.trials}

    @property
    def statuses(self) -> list[tuple[str, int]]:
        counts = Counter(trial.status for trial in self.trials)
        return [(status, counts[status]) for status in dict.fromkeys([*STATUSES, *counts])
                if counts[status]]  # fmt: skip

    @property
    def errors(self) -> list[str]:
        return list(dict.fromkeys(trial.error for trial in self.trials if trial.error))

    @property
    def seconds(self) -> float:
        return sum(trial.seconds for trial in self.trials)


def configurations(
    trials: Sequence[Trial], measure: Measure, confidence: float
) -> list[Configuration]:
    """Returns the configurations, the best mean first. Those that lack some draws follow the
    complete ones, as their means are not comparable; those without any score come last."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(json.dumps(_own(trial), sort_keys=True), []).append(trial)
    draws = {_draw(trial) for trial in trials}
    made = [
        _configuration(members, measure, confidence=confidence, num_draws=len(draws))
        for members in groups.values()
    ]
    sign = -1 if measure.higher_is_better else 1
    made.sort(
        key=lambda one: (
            one.mean is None,
            not one.complete,
            0.0 if one.mean is None else sign * one.mean,
        )
    )
    return made


def find_chosen(sweep: Sweep, found: Sequence[Configuration]) -> Configuration | None:
    """Returns the configuration that the sweep recorded as chosen; None if it has chosen none."""
    chosen = sweep.info.get("chosen")
    if not isinstance(chosen, Mapping):
        return None
    for one in found:
        if all(one.params.get(key) == value for key, value in chosen.items()):
            return one
    return None


def _draw(trial: Trial) -> tuple[str, int, int]:
    return json.dumps(trial.params[SHOTS]), trial.unit, trial.seed


def _own(trial: Trial) -> dict[str, Any]:
    return {key: value for key, value in trial.params.items() if key != SHOTS}


def _configuration(
    members: list[Trial], measure: Measure, *, confidence: float, num_draws: int
) -> Configuration:
    by_unit: dict[int, list[Score]] = {}
    by_shots: dict[str, list[Score]] = {}
    for trial in members:
        score = measure.scores.get(trial.trial_id)
        if score is not None:
            by_unit.setdefault(trial.unit, []).append(score)
            by_shots.setdefault(json.dumps(trial.params[SHOTS]), []).append(score)
    of_units = {unit: mean_score(scores) for unit, scores in sorted(by_unit.items())}
    mean, low, high = over_units(list(of_units.values()), confidence, measure.bounds)
    return Configuration(
        _own(members[0]),
        members,
        {unit: score.value for unit, score in of_units.items()},
        {shots: mean_score(scores).value for shots, scores in by_shots.items()},
        mean,
        low,
        high,
        num_scored=(num_scored := sum(map(len, by_unit.values()))),
        complete=num_scored == num_draws,
    )
