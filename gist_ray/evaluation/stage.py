"""The stage that measures the predictions of all methods on one draw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gist_ray.datasets.manifest import num_classes_of, read_manifest
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import metric_intervals
from gist_ray.evaluation.metrics import METRIC_NAMES, Outcomes, outcomes_of, weighted_metrics
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import METRICS, table
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The columns that the METRICS rows of one draw have in common.

    seed: of the draw, None if nothing is drawn. bootstrap_seed: of the intervals.
    """

    features: str
    data: str
    shots: int | None
    seed: int | None
    bootstrap_seed: int
    params: Mapping[str, Any]


def measure_stage(
    name: str,
    measured: Measured,
    config: EvaluationConfig,
    *,
    manifest: Stage,
    predictions: Mapping[tuple[str, str], Stage],
) -> Stage:
    """Returns the stage that writes METRICS of every method and split, with intervals over images.

    predictions: {(method, split): the stage that holds its PREDICTIONS}. A split without images has
    no rows.
    """
    splits = {f"{method} {split}": (method, split) for method, split in predictions}

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        num_classes = num_classes_of(read_manifest(inputs["manifest"]))
        rows: list[dict[str, object]] = []
        for key, (method, split) in splits.items():
            found = read_predictions(inputs[key], split)
            if len(found):
                outcomes = outcomes_of(found, num_classes)
                rows += metric_rows(method, split, outcomes, measured=measured, config=config)
        writer.write(table(rows, METRICS))

    return Stage(
        name=name,
        kind="metrics",
        group="measure",
        identity={
            "evaluation": identity_of(config),
            "features": measured.features,
            "data": measured.data,
            "shots": measured.shots,
            "seed": measured.seed,
            "bootstrap_seed": measured.bootstrap_seed,
            "params": dict(measured.params),
        },
        run=run,
        inputs={
            "manifest": manifest,
            **{f"{method} {split}": stage for (method, split), stage in predictions.items()},
        },
    )


def metric_rows(
    method: str, split: str, found: Outcomes, *, measured: Measured, config: EvaluationConfig
) -> Sequence[dict[str, object]]:
    """Returns a METRICS row for each metric of one method on one split."""
    values = weighted_metrics(found, [np.ones((len(found.labels), 1))])
    intervals = metric_intervals(
        found,
        num_bootstrap=config.num_bootstrap,
        confidence=config.confidence,
        seed=measured.bootstrap_seed,
    )
    return [
        {
            "features": measured.features,
            "method": method,
            "data": measured.data,
            "shots": measured.shots,
            "seed": measured.seed,
            "split": split,
            "slice": "",
            "metric": name,
            "value": float(values[name][0]),
            "ci_low": intervals[name][0],
            "ci_high": intervals[name][1],
            "num_samples": len(found.labels),
            "params": json.dumps(measured.params, sort_keys=True),
        }
        for name in METRIC_NAMES
    ]
