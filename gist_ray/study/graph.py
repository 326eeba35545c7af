"""The graph of a run: which stages it needs, and what each is made from.

Nothing here does work beyond reading the manifest; the work of a stage stands beside it in the
other modules of this package.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa

from gist_ray.run.flow import Stage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data, read_data
from gist_ray.study.embedding import Embedded, clip_key, embedded, embedded_by_tuned
from gist_ray.study.evaluation import evaluation_stage
from gist_ray.study.sample import Sample, sample_of
from gist_ray.study.statistics import statistics_stage
from gist_ray.study.texts import texts_stage
from gist_ray.study.training import finetune_stage, match_stage
from gist_ray.study.validation import validation_stage

FROZEN = "frozen"
"""The training that is none: the model as it came."""

Measure = Literal["test", "val"]
"""The split that a run's evaluations read; with "val" nothing of test is looked at."""

Draw = tuple[str, int | None, int]
"""(training, shots, seed); shots None means all images."""


@dataclass(frozen=True)
class RunGraph:
    """The stages of a run, and what was read to know them."""

    stages: list[Stage]
    """Every stage once, after what it is made from."""

    manifest: pa.Table

    evaluations: dict[Draw, str]
    """Key of the stage that evaluates a draw."""

    statistics: str | None
    """Key of the stage with the statistics of the match that the run is about, if it has one."""


def build_graph(
    config: RunConfig,
    store: ArtifactStore,
    measure: Measure = "test",
    read: Callable[[RunConfig, ArtifactStore], Data] = read_data,
) -> RunGraph:
    """Read the manifest and lay out all stages.

    Raises UserError for a broken data set, or prompts that cannot be made.
    """
    data = read(config, store)
    key = clip_key(config.clip)  # once: it reads all of the weights
    texts = texts_stage(config, data, key)
    base = matcher = embedded(config, FROZEN, config.clip, key, data, texts)
    if config.matcher is not None and config.matcher != config.clip:
        matcher = embedded(config, "matcher", config.matcher, clip_key(config.matcher), data, texts)
    evaluate = evaluation_stage if measure == "test" else validation_stage
    evaluations: dict[Draw, Stage] = {}
    matches: dict[tuple[str, int], Stage] = {}
    for choice in config.study.shots:
        num_shots = None if choice == "full" else choice
        for seed in config.study.seeds:
            draw = (num_shots, seed)
            sample = sample_of(config, *draw, data)
            evaluations[FROZEN, *draw] = evaluate(config, FROZEN, sample, data, texts, base)
            for training in config.study.trainings:
                match, tuned = _matched_and_tuned(
                    config, training, sample, data, texts, base, matcher, measure
                )
                if match is not None:
                    matches[training, seed] = match
                evaluations[training, *draw] = evaluate(
                    config, training, sample, data, texts, tuned
                )
    match = matches.get((shown_training(config), config.study.seeds[0]))
    statistics = None if match is None else statistics_stage(match)
    return RunGraph(
        stages=in_order([*evaluations.values(), *([statistics] if statistics else [])]),
        manifest=data.manifest,
        evaluations={draw: stage.key for draw, stage in evaluations.items()},
        statistics=statistics.key if statistics else None,
    )


def _matched_and_tuned(
    config: RunConfig,
    training: str,
    sample: Sample,
    data: Data,
    texts: Stage,
    base: Embedded,
    matcher: Embedded,
    measure: Measure,
) -> tuple[Stage | None, Embedded]:
    """The match of the last round, and the model that was tuned on it. The first round is that of
    a run with one, key for key; each further one matches by the model of the round before."""
    match = match_stage(config, training, sample, data, texts, matcher)
    tune = finetune_stage(config, training, sample, data, texts, match, base)
    name = f"{training} {sample.name}"
    of_tuned = partial(embedded_by_tuned, config, with_test=measure == "test")
    tuned = of_tuned(name, tune, data, texts, sample, base)
    num_rounds = config.matching.rounds if training == "gist" else 1
    for number in range(2, num_rounds + 1):
        again = f" round {number}"
        match = match_stage(config, training, sample, data, texts, tuned, again)
        tune = finetune_stage(config, training, sample, data, texts, match, base, again)
        tuned = of_tuned(name + again, tune, data, texts, sample, base)
    return match, tuned


def shown_training(config: RunConfig) -> str:
    """The training that the run is about."""
    trainings: list[str] = list(config.study.trainings)
    return "gist" if "gist" in trainings else (trainings or [FROZEN])[0]


def in_order(wanted: Iterable[Stage]) -> list[Stage]:
    """`wanted` and all that they are made from, each once, inputs first."""
    found: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in found:
            for source in stage.inputs.values():
                visit(source)
            found[stage.key] = stage

    for stage in wanted:
        visit(stage)
    return list(found.values())
