"""The search space as Tune's arguments, and Optuna's suggestions."""

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
"""The key under which Tune's Repeater gives the number of a trial's replicate."""


def domain_of(axis: Axis) -> Any:
    """Returns an axis as Tune's domain. List values are JSON, since Optuna takes no lists."""
    if isinstance(axis, list):
        return tune.choice([json.dumps(value, sort_keys=True) for value in axis])
    [(name, (low, high))] = axis.items()
    domains = {"uniform": tune.uniform, "loguniform": tune.loguniform, "randint": tune.randint}
    return domains[name](low, high)


def params_of(sweep: SweepConfig, config: Mapping[str, Any]) -> Params:
    """Returns a trial's params from what Tune calls its config."""
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
    """Returns Tune's arguments for trials that Optuna suggests, given the results in `rows`.

    Each suggestion is tried with every swept seed and number of shots, and Optuna gets the mean.
    Optuna also gets the complete configurations of `rows`; incomplete ones are tried first.
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
    """Returns a row's params in the form that `domain_of` gives them."""
    return {
        key: json.dumps(row["params"][key], sort_keys=True)
        if isinstance(axis, list)
        else row["params"][key]
        for key, axis in searched.items()
    }
