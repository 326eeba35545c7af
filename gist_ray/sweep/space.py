"""The search space as data: axes, their points, and a config with a point's values.

matching.k: [1, 3, 5]                              a list of values
finetune.learning_rate: {loguniform: [1e-5, 1e-3]} a range to draw from
"""

import copy
import itertools
import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

Axis = list[Any] | dict[str, list[float]]
Params = dict[str, Any]
"""{setting: value}"""

REPLICATES = ("study.shots", "study.seeds")
"""Axes that repeat a configuration; configurations are compared by their mean over them."""

RANGES = ("uniform", "loguniform", "randint")
MANY_DRAWS = 100


def flat_axes(space: Mapping[str, Any], prefix: str = "") -> dict[str, Axis]:
    """Returns {dotted key: axis}, whether the space is written with dotted or with nested keys."""
    axes: dict[str, Axis] = {}
    for name, value in space.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and not _is_range(value):
            axes |= flat_axes(value, f"{key}.")
        else:
            axes[key] = value
    return axes


def space_problems(axes: Mapping[str, Any]) -> list[str]:
    """Returns the problems of the axes themselves; the settings they name are not checked."""
    problems = [] if axes else ["there is no axis"]
    for key, axis in axes.items():
        if isinstance(axis, list):
            distinct = {json.dumps(value, sort_keys=True) for value in axis}
            if not axis or len(distinct) < len(axis):
                problems.append(f"{key}: give one or more values, each once")
        elif not isinstance(axis, Mapping):
            problems.append(f"{key}={axis!r}: give a list of values, or one of {', '.join(RANGES)}")
        else:
            problems += _range_problems(key, axis)
        if key in REPLICATES and not isinstance(axis, list):
            problems.append(f"{key}: needs a list of values, for every configuration gets them all")
    return problems


def _is_range(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in RANGES


def _range_problems(key: str, axis: Mapping[str, Any]) -> list[str]:
    [(name, bounds)] = axis.items()
    is_pair = isinstance(bounds, list) and len(bounds) == 2
    if not is_pair or not all(isinstance(bound, int | float) for bound in bounds):
        return [f"{key}: {name} needs [low, high]"]
    low, high = bounds
    if not low < high or (name == "loguniform" and low <= 0):
        return [f"{key}: {name}={bounds} needs low < high" + (", above 0" * (name[0] == "l"))]
    if name == "randint" and not all(isinstance(bound, int) for bound in bounds):
        return [f"{key}: randint={bounds} needs whole numbers"]
    return []


def grid_points(axes: Mapping[str, Axis]) -> list[Params]:
    """Returns every combination, the last axis fastest."""
    return [
        dict(zip(axes, values, strict=True))
        for values in itertools.product(*(list(axis) for axis in axes.values()))
    ]


def random_points(axes: Mapping[str, Axis], number: int, seed: int) -> list[Params]:
    """Returns `number` distinct draws; fewer if the space has no more."""
    rng = random.Random(seed)
    points: dict[str, Params] = {}
    for _ in range(MANY_DRAWS * number):
        point = {key: _draw(axis, rng) for key, axis in axes.items()}
        points.setdefault(json.dumps(point, sort_keys=True), point)
        if len(points) == number:
            break
    return list(points.values())


def _draw(axis: Axis, rng: random.Random) -> Any:
    if isinstance(axis, list):
        return rng.choice(axis)
    [(name, (low, high))] = axis.items()
    if name == "randint":
        return rng.randrange(int(low), int(high))
    if name == "loguniform":
        return math.exp(rng.uniform(math.log(low), math.log(high)))
    return rng.uniform(low, high)


def split_axes(axes: Mapping[str, Axis]) -> tuple[dict[str, Axis], dict[str, Axis]]:
    """Returns (axes that make configurations, axes that repeat them)."""
    searched = {key: axis for key, axis in axes.items() if key not in REPLICATES}
    repeated = {key: axes[key] for key in REPLICATES if key in axes}
    return searched, repeated


def configuration(params: Params) -> Params:
    """Returns the params that all replicates of a trial share."""
    return {key: value for key, value in params.items() if key not in REPLICATES}


def with_params(
    values: Mapping[str, Any], params: Params, groups: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns a config's plain values changed by a trial's params.

    groups: {group: {choice: its values}} of the axes that choose from a group. If a setting is a
    list (study.seeds), a single value becomes a list of one. Unknown keys are kept, so that the
    check of the config reports them.
    """
    changed = copy.deepcopy(dict(values))
    for key, value in sorted(params.items(), key=lambda entry: entry[0].count(".")):
        if key in groups:
            value = groups[key].get(value, value)
        _put(changed, key.split("."), copy.deepcopy(value))
    return changed


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        inner = values.get(name)
        if not isinstance(inner, dict):
            inner = values[name] = {}
        values = inner
    is_list = isinstance(values.get(path[-1]), list)
    values[path[-1]] = [value] if is_list and not isinstance(value, list) else value
