"""The search space in Tune's terms, and Optuna's suggestions."""

import json
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from ray import tune
from ray.tune.search import Repeater

from gist_ray.sweep.choice import MODES, groups_of, score_of
from gist_ray.sweep.config import SweepConfig
from gist_ray.sweep.space import Axis, Params, grid_points, split_axes
from gist_ray.sweep.tables import Row

AGAIN = "__trial_index__"
"""Which of its replicates a trial is; Tune's Repeater counts them under this name."""


def domain_of(axis: Axis) -> Any:
    """An axis as Tune's domain; values of a list as JSON, since Optuna takes no other."""
    if isinstance(axis, list):
        return tune.choice([json.dumps(value, sort_keys=True) for value in axis])
    [(name, (low, high))] = axis.items()
    domains = {"uniform": tune.uniform, "loguniform": tune.loguniform, "randint": tune.randint}
    return domains[name](low, high)


def params_of(sweep: SweepConfig, config: Mapping[str, Any]) -> Params:
    """A trial's params from what Tune calls its config."""
    if "params" in config:
        listed: Params = config["params"]
        return listed
    searched, repeated = split_axes(sweep.space)
    point = {
        key: json.loads(config[key]) if isinstance(axis, list) else config[key]
        for key, axis in searched.items()
    }
    return {**point, **grid_points(repeated)[config.get(AGAIN, 0)]}


def suggested(sweep: SweepConfig, rows: Sequence[Row]) -> dict[str, Any]:
    """Tune's arguments for what Optuna suggests after having seen `rows`.

    Each suggestion is tried with every swept seed and number of shots, and Optuna is told the mean.
    Configurations that are whole in `rows` are told to it; those that were begun come first.
    """
    from ray.tune.search.optuna import OptunaSearch

    searched, repeated = split_axes(sweep.space)
    times = len(grid_points(repeated))
    groups = groups_of(rows)
    whole = [g for g in groups if len(g) == times and all(row["status"] == "ok" for row in g)]
    search = OptunaSearch(
        space=OptunaSearch.convert_search_space({k: domain_of(a) for k, a in searched.items()}),
        metric=sweep.metric,
        mode=MODES[sweep.metric],
        points_to_evaluate=[_coded(searched, g[0]) for g in groups if g not in whole],
        # other suggestions than those that were begun before
        seed=sweep.seed + len(groups),
    )
    for group in whole:
        score = mean(score_of(sweep, row) for row in group)
        search.add_evaluated_point(_coded(searched, group[0]), score)
    return {
        "search_alg": Repeater(search, repeat=times),
        "num_samples": (sweep.num_trials - len(whole)) * times,
    }


def _coded(searched: Mapping[str, Axis], row: Row) -> Params:
    """A row's params as `domain_of` has them."""
    return {
        key: json.dumps(row["params"][key], sort_keys=True)
        if isinstance(axis, list)
        else row["params"][key]
        for key, axis in searched.items()
    }
