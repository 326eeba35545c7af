"""The stage that measures the predictions of all methods on one draw."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gist_ray.datasets.manifest import num_classes_of, read_manifest
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import metric_intervals
from gist_ray.evaluation.metrics import (
    ALL,
    METRIC_NAMES,
    Outcomes,
    Part,
    metrics_of_parts,
    outcomes_of,
)
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.evaluation.slices import MIN_IMAGES, Slice, slices_of
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
    no rows. The slices of the config are measured on test sets.
    """
    splits = {f"{method} {split}": (method, split) for method, split in predictions}

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        manifest = read_manifest(inputs["manifest"])
        num_classes = num_classes_of(manifest)
        rows: list[dict[str, object]] = []
        for key, (method, split) in splits.items():
            found = read_predictions(inputs[key], split)
            if len(found):
                rows += metric_rows(
                    method,
                    split,
                    outcomes_of(found, num_classes),
                    slices=slices_of(
                        manifest,
                        found.column("image_id"),
                        [] if split == "val" else config.slices,
                    ),
                    measured=measured,
                    config=config,
                )
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
    method: str,
    split: str,
    found: Outcomes,
    *,
    slices: Sequence[Slice] = (),
    measured: Measured,
    config: EvaluationConfig,
) -> list[dict[str, object]]:
    """Returns a METRICS row for each metric of one method on one split, and on each slice of it. A
    slice of fewer than MIN_IMAGES has no interval."""
    parts: list[tuple[str, Part, int]] = [
        ("", ALL, len(found.labels)),
        *((s.name, s.rows, len(s.rows)) for s in slices),
    ]
    ones = np.ones((len(found.labels), 1))
    values = metrics_of_parts(found, [part for _, part, _ in parts], [ones])
    with_interval = [(n, part) for n, part, size in parts if not n or size >= MIN_IMAGES]
    intervals = metric_intervals(
        found,
        [part for _, part in with_interval],
        num_bootstrap=config.num_bootstrap,
        confidence=config.confidence,
        seed=measured.bootstrap_seed,
    )
    ends = {name: of for (name, _), of in zip(with_interval, intervals, strict=True)}
    rows: list[dict[str, object]] = []
    for (name, _, num_images), of_part in zip(parts, values, strict=True):
        for metric in METRIC_NAMES:
            low, high = ends[name][metric] if name in ends else (None, None)
            rows.append(
                {
                    "features": measured.features,
                    "method": method,
                    "data": measured.data,
                    "shots": measured.shots,
                    "seed": measured.seed,
                    "split": split,
                    "slice": name,
                    "metric": metric,
                    "value": float(of_part[metric][0]),
                    "ci_low": low,
                    "ci_high": high,
                    "num_samples": num_images,
                    "params": json.dumps(measured.params, sort_keys=True),
                }
            )
    return rows
