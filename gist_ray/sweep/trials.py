"""Trials: a config with one value of every axis, checked like a run's, and its stages."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from gist_ray.datasets.config import DataConfig
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.errors import UserError
from gist_ray.run.stage import Stage, in_order
from gist_ray.schema import num_labelled, stable_id, test_sets
from gist_ray.settings.check import build
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore, fingerprint
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data, read_data
from gist_ray.study.graph import StudyGraph
from gist_ray.study.job import plan
from gist_ray.sweep.config import SweepConfig, SweepRun
from gist_ray.sweep.space import Params, grid_points, random_points, split_axes, with_params
from gist_ray.sweep.tables import sweep_folder

NUM_SAMPLES = 3
ONE_OF_EACH = ("trainings", "shots", "seeds")


@dataclass(frozen=True)
class Task:
    """Settings that all trials of a sweep share, as plain values for sending to any machine."""

    base: dict[str, Any]
    """The run's config that axes change."""
    groups: dict[str, dict[str, Any]]
    """{group: {choice: its values}} of the axes that choose from a group."""
    sweep: SweepConfig

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.base["root"])

    @property
    def folder(self) -> str:
        return sweep_folder(self.store.root, self.base["name"])


@dataclass(frozen=True)
class Trial:
    trial_id: str
    params: Params


@dataclass(frozen=True)
class Planned:
    """A trial whose config passed every check."""

    trial: Trial
    config: RunConfig
    graph: StudyGraph

    @property
    def ends(self) -> list[Stage]:
        """The last stages: METRICS of test, or the classifiers of the sweep's method with their val
        measures."""
        return self.graph.metrics or [result.fit for result in self.graph.results.values()]

    @property
    def stages(self) -> list[Stage]:
        """All stages that the ends need, each once, inputs first."""
        return in_order(self.ends)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of everything that determines the trial's result."""
        return fingerprint("trial", {}, {s.name: s.fingerprint for s in self.ends})


def task_of(run: SweepRun, groups: Mapping[str, Mapping[str, Any]]) -> Task:
    base = {key: value for key, value in asdict(run).items() if key != "sweep"}
    base["root"] = storage.absolute(run.root)
    return Task(base, {group: dict(choices) for group, choices in groups.items()}, run.sweep)


def make_trial(params: Params) -> Trial:
    return Trial(stable_id(json.dumps(params, sort_keys=True))[:8], params)


def known_trials(sweep: SweepConfig) -> list[Trial]:
    """Returns all trials of a grid or a random search, in the order of their start; none for
    Optuna, whose trials depend on earlier results."""
    searched, repeated = split_axes(sweep.space)
    if sweep.search == "optuna":
        return []
    if sweep.search == "grid":
        points = grid_points(searched)
    else:
        points = random_points(searched, sweep.num_trials, sweep.seed)
    return [make_trial({**point, **again}) for point in points for again in grid_points(repeated)]


def sample_trials(sweep: SweepConfig) -> list[Trial]:
    """Returns a few trials that Optuna may suggest. Stages that all of them need are needed by
    nearly every trial."""
    searched, repeated = split_axes(sweep.space)
    points = random_points(searched, NUM_SAMPLES, sweep.seed)
    return [make_trial({**point, **again}) for point in points for again in grid_points(repeated)]


def plan_trial(task: Task, trial: Trial) -> Planned:
    """Returns the trial with its config and stages. Raises UserError with all problems of the
    trial, in the words of a run's checks."""
    config: RunConfig = build(RunConfig, with_params(task.base, trial.params, task.groups))
    if problems := _trial_problems(config, task.sweep):
        raise UserError(problems)
    measure = task.sweep.measure
    # by val, no other method's classifier is looked at
    measured = config if measure == "test" else _with_method(config, task.sweep.method)
    graph = plan(measured, task.store, measure=measure, read=_read_once)
    if problem := _lacking_split(graph, measure):
        raise UserError(problem)
    return Planned(trial, config, graph)


def _lacking_split(graph: StudyGraph, measure: Literal["test", "val"]) -> str:
    """Returns a problem if the data set has no images of the split that trials are measured on."""
    if measure == "test" and not test_sets(graph.manifest):
        return (
            "sweep.measure=test: measures every trial on a test set, and the data set has none. "
            "Give it one, such as by data.test_fraction=0.2, or set sweep.measure=val."
        )
    if measure == "val" and not num_labelled(graph.manifest, "val"):
        return (
            "sweep.measure=val: chooses by labelled val images, and the data set has none. Give it "
            "a val split, such as by data.val_fraction=0.1."
        )
    return ""


def _with_method(config: RunConfig, name: str) -> RunConfig:
    return replace(config, methods={name: config.methods[name]})


def _read_once(config: DataConfig | WorldConfig, notes: str, store: ArtifactStore) -> Data:
    """Returns the data set of a trial, read once in a process for all trials with the same data."""
    said = json.dumps([asdict(config), notes, store.root], sort_keys=True)
    if said not in _data:
        _data[said] = read_data(config, notes, store)
    return _data[said]


def forget_data() -> None:
    """Empties the cache of data sets, whose files may have changed since an earlier sweep."""
    _data.clear()


_data: dict[str, Data] = {}


def _trial_problems(config: RunConfig, sweep: SweepConfig) -> list[str]:
    problems = []
    for name in ONE_OF_EACH:
        values = getattr(config.study, name)
        # without a training the model as it came is what is tried
        if len(values) > 1 or (not values and name != "trainings"):
            problems.append(
                f"study.{name}={values}: a trial has one. Set study.{name} to a single value, or "
                f"put the values into sweep.space as study.{name}."
            )
    if sweep.method not in config.methods:
        problems.append(
            f"sweep.method={sweep.method}: is none of the run's methods, which are "
            f"{', '.join(config.methods)}. Take one of them, or add it to methods."
        )
    if sweep.scheduler == "asha" and config.finetune.select_by == "last":
        problems.append(
            "finetune.select_by=last gives epochs no val score, which sweep.scheduler=asha stops "
            "by. Set finetune.select_by=probe, or sweep.scheduler=none."
        )
    return problems
