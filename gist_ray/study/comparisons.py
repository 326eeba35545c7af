"""Metrics of a run's results, their means over seeds, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.evaluation.comparison import compare, summarise_seeds
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.evaluation.significance import detectable_difference, holm_of_those, p_value
from gist_ray.report.data import DifferenceRow, Shown, SummaryRow
from gist_ray.schema import is_test, test_sets
from gist_ray.store.artifacts import Artifact
from gist_ray.study.config import RunConfig
from gist_ray.study.features import FROZEN
from gist_ray.study.graph import StudyGraph, shown_features

HEADLINE = "top1"

COMPARED = ("linear_probe", "zero_shot_best_texts")
"""The methods by which features are compared, as far as the run has them; else its first method."""

ANSWERS = ["image_id", "label", "predicted"]
"""The columns of PREDICTIONS that a comparison reads."""

ShownRow = TypeVar("ShownRow", bound=Shown)

Artifacts = Mapping[str, Artifact]
"""{name of a stage: its artifact}"""


class Difference(DifferenceRow):
    """A difference with two intervals: ci_low and ci_high of the hierarchical bootstrap, and the
    interval over seeds."""

    seeds_ci_low: float | None
    seeds_ci_high: float | None


def collect_metrics(graph: StudyGraph, artifacts: Artifacts) -> pa.Table:
    """Returns METRICS of all results."""
    return pa.concat_tables([artifacts[stage.name].read() for stage in graph.metrics])


def summarise(config: RunConfig, metrics: pa.Table) -> list[SummaryRow]:
    """Returns test metrics on all images over seeds, those of val where nothing was measured on
    test; what has no seed keeps its interval over images."""
    of_all = metrics.filter(pc.equal(metrics.column("slice"), ""))
    test = of_all.filter(is_test(of_all.column("split")))
    measured = test if len(test) else of_all
    over_seeds = summarise_seeds(measured, config.evaluation)
    without_seed = measured.filter(pc.is_null(measured.column("seed")))
    return [
        {
            "features": row["features"],
            "method": row["method"],
            "split": row["split"],
            "shots": row["shots"],
            "metric": row["metric"],
            "mean": row["value"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "num_seeds": num_seeds,
        }
        for table, num_seeds in ((over_seeds, len(config.study.seeds)), (without_seed, 1))
        for row in table.to_pylist()
    ]


def compared_methods(config: RunConfig) -> list[str]:
    """Returns the methods that features are compared by."""
    return [name for name in COMPARED if name in config.methods] or list(config.methods)[:1]


def compare_features(
    config: RunConfig, graph: StudyGraph, artifacts: Artifacts
) -> list[Difference]:
    """Returns the differences between the features that the run is about and each other ones, on
    the same draws, at every number of shots; [] without a test set, because val has served for
    choices."""
    return [
        difference
        for split in test_sets(graph.manifest)
        for method in compared_methods(config)
        for shots in graph.num_shots
        for difference in _differences(
            config, graph, artifacts, of=_Comparison(method, split, [shots])
        )
    ]


def compare_over_shots(
    config: RunConfig, graph: StudyGraph, artifacts: Artifacts
) -> list[Difference]:
    """Returns the same differences over the draws of all numbers of shots together; [] where the
    study has one number of shots."""
    if len(graph.num_shots) == 1:
        return []
    return [
        difference
        for split in test_sets(graph.manifest)
        for method in compared_methods(config)
        for difference in _differences(
            config, graph, artifacts, of=_Comparison(method, split, graph.num_shots)
        )
    ]


@dataclass(frozen=True)
class _Comparison:
    """One method on one test set, paired over the draws of all these numbers of shots."""

    method: str
    split: str
    shots: Sequence[int | None]


def _differences(
    config: RunConfig, graph: StudyGraph, artifacts: Artifacts, *, of: _Comparison
) -> list[Difference]:
    shown = shown_features(config)
    others = [other for other in (FROZEN, *config.study.trainings) if other != shown]
    draws = [(shots, seed) for shots in of.shots for seed in config.study.seeds]

    def predictions(features: str, shots: int | None, seed: int) -> pa.Table:
        stage = graph.result(features, of.method, shots=shots, seed=seed).predict
        assert stage is not None
        return read_predictions(artifacts[stage.name], of.split, ANSWERS)

    of_features = {
        features: {index: predictions(features, *draw) for index, draw in enumerate(draws)}
        for features in (shown, *others)
    }
    common = on_common_images(of_features)
    rows: list[Difference] = []
    for other in others:
        found = compare(common[shown], common[other], config.evaluation, seed=config.seed)
        over_seeds = found.seeds_interval or (None, None)
        rows.append(
            {
                "features_a": shown,
                "method_a": of.method,
                "features_b": other,
                "method_b": of.method,
                "split": of.split,
                "shots": of.shots[0] if len(of.shots) == 1 else None,
                "metric": HEADLINE,
                "mean": found.mean,
                "ci_low": found.low,
                "ci_high": found.high,
                "per_seed": [float(value) for value in found.per_seed],
                "detectable": detectable_difference(
                    found.standard_error, confidence=config.evaluation.confidence
                ),
                "p_value": p_value(found.mean, found.standard_error),
                "p_holm": None,
                "seeds_ci_low": over_seeds[0],
                "seeds_ci_high": over_seeds[1],
            }
        )
    return rows


def corrected(rows: Sequence[ShownRow]) -> list[ShownRow]:
    """Returns the rows with Holm's p-values for all of them that have one; without where it is one
    only."""
    rows = [row.copy() for row in rows]
    for row, value in zip(rows, holm_of_those([row["p_value"] for row in rows]), strict=True):
        row["p_holm"] = value
    return rows


def on_common_images(
    of_features: Mapping[str, Mapping[int, pa.Table]],
) -> dict[str, dict[int, pa.Table]]:
    """Returns the predictions on the images that all features have predictions of. An image that
    one model could not read, within the share of failed rows that the run allows, is left out for
    all."""
    every = [table for tables in of_features.values() for table in tables.values()]
    common = every[0].column("image_id").combine_chunks()
    for table in every[1:]:
        ids = table.column("image_id").combine_chunks()
        if not ids.equals(common):
            common = common.filter(pc.is_in(common, value_set=ids))
    return {
        features: {
            seed: table
            if len(table) == len(common)
            else table.filter(pc.is_in(table.column("image_id"), value_set=common))
            for seed, table in tables.items()
        }
        for features, tables in of_features.items()
    }
