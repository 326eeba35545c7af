"""What the evaluations of a run say together: metrics, means over seeds, paired differences."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.evaluation.comparison import compare, summarise_seeds
from gist_ray.report.data import DifferenceRow, SummaryRow
from gist_ray.schema import METRICS, PREDICTIONS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import FROZEN, RunGraph, shown_training

HEADLINE = "top1"
HEADS = ("linear_probe", "zero_shot_best_texts")
"""What trainings are compared by, pair by pair."""

ANSWERS = ["image_id", "label", "predicted"]
"""What a comparison reads of predictions."""


class Difference(DifferenceRow):
    """With the hierarchical bootstrap's interval as ci_low and ci_high, and the one over seeds."""

    seeds_ci_low: float | None
    seeds_ci_high: float | None


def collect_metrics(graph: RunGraph, artifacts: Mapping[str, Artifact]) -> pa.Table:
    """METRICS of all evaluations. The untrained model's zero-shot heads depend on no draw: they are
    kept once, without shots and seed."""
    tables = []
    have_zero_shot = False
    for (training, _, _), key in graph.evaluations.items():
        found = artifacts[key].read()
        if training == FROZEN:
            is_zero_shot = pc.match_substring(found.column("method"), "/zero_shot")
            if not have_zero_shot:
                tables.append(_without_draw(found.filter(is_zero_shot)))
                have_zero_shot = True
            found = found.filter(pc.invert(is_zero_shot))
        tables.append(found)
    return pa.concat_tables(tables)


def summarise(config: RunConfig, metrics: pa.Table) -> list[SummaryRow]:
    """Test metrics over seeds; what has no seed keeps its interval over test images."""
    test = metrics.filter(pc.equal(metrics.column("split"), "test"))
    over_seeds = summarise_seeds(test, config.evaluation)
    without_seed = test.filter(pc.is_null(test.column("seed")))
    return [
        {
            "method": row["method"],
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


def compare_trainings(
    config: RunConfig, graph: RunGraph, artifacts: Mapping[str, Artifact]
) -> list[Difference]:
    """The training that the run is about less each other one and the frozen model, on the same
    draws, at every number of shots."""
    return [
        difference
        for head in HEADS
        for shots in num_shots(config)
        for difference in _differences(config, graph, artifacts, head, [shots])
    ]


def compare_over_shots(
    config: RunConfig, graph: RunGraph, artifacts: Mapping[str, Artifact]
) -> list[Difference]:
    """The same over the draws of all numbers of shots together; nothing where there is one."""
    if len(config.study.shots) == 1:
        return []
    return [
        difference
        for head in HEADS
        for difference in _differences(config, graph, artifacts, head, num_shots(config))
    ]


def num_shots(config: RunConfig) -> list[int | None]:
    """The study's numbers of shots, None for all images."""
    return [None if choice == "full" else choice for choice in config.study.shots]


def _differences(
    config: RunConfig,
    graph: RunGraph,
    artifacts: Mapping[str, Artifact],
    head: str,
    over: list[int | None],
) -> list[Difference]:
    """Paired over the draws of all these numbers of shots."""
    shown = shown_training(config)
    others = [other for other in (FROZEN, *config.study.trainings) if other != shown]
    draws = [(shots, seed) for shots in over for seed in config.study.seeds]
    of_training = {
        training: {
            index: read_predictions(artifacts[graph.evaluations[training, *draw]], head, ANSWERS)
            for index, draw in enumerate(draws)
        }
        for training in (shown, *others)
    }
    common = _on_common_images(of_training)
    rows: list[Difference] = []
    for other in others:
        found = compare(common[shown], common[other], config.evaluation, config.seed)
        over_seeds = found.seeds_interval or (None, None)
        rows.append(
            {
                "method_a": f"{shown}/{head}",
                "method_b": f"{other}/{head}",
                "shots": over[0] if len(over) == 1 else None,
                "metric": HEADLINE,
                "mean": found.mean,
                "ci_low": found.low,
                "ci_high": found.high,
                "per_seed": [float(value) for value in found.per_seed],
                "seeds_ci_low": over_seeds[0],
                "seeds_ci_high": over_seeds[1],
            }
        )
    return rows


def read_predictions(artifact: Artifact, head: str, columns: list[str] | None = None) -> pa.Table:
    """PREDICTIONS of a head on the test images; empty if the evaluation had no such head."""
    uri = artifact.file(f"predictions/{head}.parquet")
    if not storage.exists(uri):
        return PREDICTIONS.empty_table().select(columns or PREDICTIONS.names)
    return storage.read_parquet(uri, columns)


def _on_common_images(
    of_training: Mapping[str, Mapping[int, pa.Table]],
) -> dict[str, dict[int, pa.Table]]:
    """The predictions on the images that all of them are of: one that could not be read for one
    model, within the share of failed rows that the run allows, counts for none."""
    every = [table for tables in of_training.values() for table in tables.values()]
    common = every[0].column("image_id").combine_chunks()
    for table in every[1:]:
        ids = table.column("image_id").combine_chunks()
        if not ids.equals(common):
            common = common.filter(pc.is_in(common, value_set=ids))
    return {
        training: {
            seed: table
            if len(table) == len(common)
            else table.filter(pc.is_in(table.column("image_id"), value_set=common))
            for seed, table in tables.items()
        }
        for training, tables in of_training.items()
    }


def _without_draw(metrics: pa.Table) -> pa.Table:
    nothing = pa.nulls(len(metrics), pa.int32())
    for name in ("shots", "seed"):
        index = METRICS.get_field_index(name)
        metrics = metrics.set_column(index, METRICS.field(index), nothing)
    return metrics.filter(pc.equal(metrics.column("split"), "test"))
