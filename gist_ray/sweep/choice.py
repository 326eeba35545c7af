"""The choice among configurations, by val alone, and the experiment file that records it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any

import yaml

from gist_ray.study.config import RunConfig
from gist_ray.sweep.config import SweepConfig
from gist_ray.sweep.space import REPLICATES, Params, configuration
from gist_ray.sweep.tables import Row

MODES = {"val_log_loss": "min", "val_accuracy": "max"}

HEADER = """\
# @package _global_
# Chosen by a sweep among {num} by {metric} on val ({mean:.4g} on average
# over {times} trial{s}). To use it, put it where Hydra looks for experiments:
#     mkdir -p my/experiment && cp {file} my/experiment/{name}.yaml
#     gist-ray run --config-dir my experiment={name}
# What the sweep has made is found in {root} and not made again.
"""


def choose(sweep: SweepConfig, rows: Sequence[Row]) -> tuple[Params, list[Row]] | None:
    """Returns (params, rows) of the configuration with the best mean score, the first of equals;
    None if none can be chosen.

    Only configurations with the most trials, all of them ok, can be chosen.
    """
    groups = groups_of(rows)
    most = max((len(group) for group in groups), default=0)
    sign = 1 if MODES[sweep.metric] == "min" else -1
    whole = [
        (sign * mean(score_of(sweep, row) for row in group), index, group)
        for index, group in enumerate(groups)
        if len(group) == most and all(row["status"] == "ok" for row in group)
    ]
    if not whole:
        return None
    _, _, best = min(whole, key=lambda entry: entry[:2])
    return configuration(best[0]["params"]), best


def groups_of(rows: Sequence[Row]) -> list[list[Row]]:
    """Returns the rows grouped by configuration, in the order of each group's first row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = json.dumps(configuration(row["params"]), sort_keys=True)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def score_of(sweep: SweepConfig, row: Row) -> float:
    score = row.get(sweep.metric)
    assert isinstance(score, float), f"trial {row['trial_id']} has no {sweep.metric}"
    return score


def with_replicates(values: Mapping[str, Any], sweep: SweepConfig) -> dict[str, Any]:
    """Returns the config values with every swept seed and number of shots."""
    study = {key.split(".")[1]: sweep.space[key] for key in REPLICATES if key in sweep.space}
    return {**values, "study": {**values["study"], **study}}


def experiment_file(
    config: RunConfig,
    sweep: SweepConfig,
    *,
    name: str,
    file: str,
    choices: Mapping[str, str],
    best: Sequence[Row],
    num: int,
) -> str:
    """Returns the text of an experiment file: every setting of the chosen config, on the groups it
    was composed from. choices: {group: choice}, except the methods, which are those of the config.
    num: how many configurations there were."""
    header = HEADER.format(
        name=name,
        num=f"{num} configuration{'s' * (num != 1)}",
        metric=sweep.metric,
        mean=mean(score_of(sweep, row) for row in best),
        times=len(best),
        s="s" * (len(best) != 1),
        file=file,
        root=config.root,
    )
    # The list replaces the default one, whose other methods would stay in the config.
    groups = {**choices, "methods": list(config.methods)}
    defaults = [{f"override /{group}": choice} for group, choice in sorted(groups.items())]
    values = {"defaults": [*defaults, "_self_"], **asdict(config)}
    return header + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
