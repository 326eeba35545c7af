"""Statistics over several draws: a method's mean over seeds, and two methods on the same draws."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import PairedDifference, paired_difference, seeds_interval
from gist_ray.schema import METRICS, table


def summarise_seeds(metrics: pa.Table, config: EvaluationConfig) -> pa.Table:
    """Returns one METRICS row for each group of rows that differ only in their seed and value.

    seed is null, value the mean, and the interval Student's t over seeds (null for one seed), as
    far as it lies in 0 to 1, where every metric does. Rows without a seed are left out.
    """
    keys = ["features", "method", "data", "shots", "split", "slice", "metric", "params"]
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in metrics.to_pylist():
        if row["seed"] is not None:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    rows = []
    for key, members in groups.items():
        values = np.array([row["value"] for row in members], np.float64)
        low, high = seeds_interval(values, config.confidence) or (None, None)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "value": float(values.mean()),
                "ci_low": None if low is None else max(0.0, low),
                "ci_high": None if high is None else min(1.0, high),
                "num_samples": members[0]["num_samples"],
            }
        )
    return table(rows, METRICS)


def correct_matrix(predictions: Mapping[int, pa.Table], image_ids: list[str]) -> np.ndarray:
    """Returns which of `image_ids` are classified right: (num_seeds, num_images) bool, seeds
    ascending.

    predictions: seed -> PREDICTIONS table. Raises UserError if a seed's table is not of exactly
    these images.
    """
    matrix = []
    wanted = pa.array(image_ids, pa.string())
    for seed in sorted(predictions):
        rows = predictions[seed]
        places = pc.index_in(wanted, value_set=rows.column("image_id").combine_chunks())
        if len(rows) != len(wanted) or places.null_count:
            odd = sorted(set(rows.column("image_id").to_pylist()) ^ set(image_ids))
            raise UserError(
                f"the predictions of seed {seed} are of other test images: {len(odd)} differ "
                f"(first: {odd[0]!r}). Evaluate all methods and seeds on one test split."
            )
        correct = pc.equal(rows.column("label"), rows.column("predicted"))
        matrix.append(correct.take(places).to_numpy(zero_copy_only=False))
    return np.array(matrix, bool)


def compare(
    predictions_a: Mapping[int, pa.Table],
    predictions_b: Mapping[int, pa.Table],
    config: EvaluationConfig,
    *,
    seed: int,
) -> PairedDifference:
    """Returns the top-1 accuracy of A minus that of B, paired by seed and test image.

    predictions_a, predictions_b: seed -> PREDICTIONS table. seed: of the bootstrap.
    Raises UserError if the two do not have the same seeds and test images.
    """
    if predictions_a.keys() != predictions_b.keys() or not predictions_a:
        raise UserError(
            f"the methods to compare were run with seeds {sorted(predictions_a)} and "
            f"{sorted(predictions_b)}. Run both with the same seeds."
        )
    image_ids = predictions_a[min(predictions_a)].column("image_id").to_pylist()
    return paired_difference(
        correct_matrix(predictions_a, image_ids),
        correct_matrix(predictions_b, image_ids),
        num_bootstrap=config.num_bootstrap,
        confidence=config.confidence,
        seed=seed,
    )
