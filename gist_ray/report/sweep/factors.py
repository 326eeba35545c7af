"""Factors of a sweep: the keys that take more than one value, and their places on an axis."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gist_ray.report.page.wording import shorten
from gist_ray.report.sweep.tables import SHOTS, Trial

MIN_LOG_RATIO = 8
"""Values whose largest-to-smallest ratio is below this have a plain axis."""
MAX_BINS = 4
"""A numeric factor with more than twice this many values is compared in this many groups."""


@dataclass(frozen=True)
class Factor:
    """One swept key. Values are identified by their JSON, as they may be lists."""

    key: str
    # JSON of the values -> place on the axis, rising: the number itself, or its rank
    places: dict[str, float]
    # all values are numbers
    numeric: bool
    # numeric, and spread evenly over the orders of magnitude
    log: bool

    @property
    def ordered(self) -> bool:
        """Whether all values but at most one are numbers, as in 1, 4, 16, "full", so that a line
        may join them."""
        return sum(not _is_number(json.loads(value)) for value in self.places) <= 1

    @property
    def label(self) -> str:
        return factor_label(self.key)

    @property
    def level_labels(self) -> list[str]:
        return [level_label(json.loads(level)) for level in self.places]

    def place(self, trial: Trial) -> float | None:
        """Returns the trial's place on the axis; None if its params lack the key."""
        return self.places.get(level(trial, self.key)) if self.key in trial.params else None

    def groups(self) -> dict[str, int]:
        """Returns {JSON of a value: number of its group}, for comparing means. Each value is a
        group of its own unless there are many."""
        if not self.numeric or len(self.places) <= 2 * MAX_BINS:
            return {value: rank for rank, value in enumerate(self.places)}
        pieces = np.array_split(list(self.places), MAX_BINS)
        return {str(value): group for group, piece in enumerate(pieces) for value in piece}


def find_factors(trials: Sequence[Trial]) -> list[Factor]:
    """Returns the keys that vary, shots first, then by name."""
    keys = sorted({key for trial in trials for key in trial.params}, key=lambda k: (k != SHOTS, k))
    made = [make_factor(trials, key) for key in keys]
    return [factor for factor in made if len(factor.places) > 1]


def make_factor(trials: Sequence[Trial], key: str) -> Factor:
    """Returns the factor of `key`, even if all trials have one value."""
    levels = {level(trial, key): trial.params[key] for trial in trials if key in trial.params}
    numeric = all(_is_number(value) for value in levels.values())
    if numeric:
        rising = sorted(levels, key=lambda name: levels[name])
        numbers = [float(levels[name]) for name in rising]
        return Factor(
            key, dict(zip(rising, numbers, strict=True)), True, _is_log(np.array(numbers))
        )
    # numbers before words, such as 1, 2, 4, "full"
    rising = sorted(levels, key=lambda name: _order(levels[name]))
    return Factor(key, {name: float(rank) for rank, name in enumerate(rising)}, False, False)


def level(trial: Trial, key: str) -> str:
    return json.dumps(trial.params[key], sort_keys=True)


def level_label(value: Any) -> str:
    """Returns a value as it is printed, at most 40 characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None or value == []:
        return "none"
    if isinstance(value, dict):
        return shorten(", ".join(f"{k} {level_label(v)}" for k, v in value.items()), 40)
    is_plain = isinstance(value, str) and value != ""
    return shorten(value if is_plain else json.dumps(value, ensure_ascii=False), 40)


def factor_label(key: str) -> str:
    """Returns "learning rate" for "finetune.learning_rate"."""
    return shorten(key.rpartition(".")[2].replace("_", " ") or key, 40)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: Any) -> tuple[bool, float, str]:
    return (False, float(value), "") if _is_number(value) else (True, 0.0, str(value))


def _is_log(rising: np.ndarray) -> bool:
    """Returns whether the gaps between values are more equal on a log axis than on a plain one."""
    if len(rising) < 3 or rising[0] <= 0 or rising[-1] / rising[0] < MIN_LOG_RATIO:
        return False
    spreads = [np.std(gaps) / np.mean(gaps) for gaps in (np.diff(rising), np.diff(np.log(rising)))]
    return bool(spreads[1] < spreads[0])
