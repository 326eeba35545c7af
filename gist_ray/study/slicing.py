"""The accuracy of the method that a run is about, by the values of the images' attributes."""

from collections.abc import Mapping

import pyarrow as pa

from gist_ray.evaluation.comparison import correct_matrix
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.evaluation.significance import detectable_difference, p_value
from gist_ray.evaluation.slice_accuracy import Estimate, slice_accuracies
from gist_ray.evaluation.slices import slices_of
from gist_ray.report.data import SliceRow
from gist_ray.schema import test_sets
from gist_ray.store.artifacts import Artifact
from gist_ray.study.comparisons import ANSWERS, compared_methods, corrected, on_common_images
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import StudyGraph, shown_features


def compare_slices(
    config: RunConfig, graph: StudyGraph, artifacts: Mapping[str, Artifact]
) -> list[SliceRow]:
    """Returns a row for each slice of each test set: of the features that the run is about, the
    first method that features are compared by, and the last number of shots, over all seeds."""
    if not config.evaluation.slices:
        return []
    splits = test_sets(graph.manifest)
    return corrected(
        [row for split in splits for row in _slices(config, graph, artifacts, split=split)]
    )


def _slices(
    config: RunConfig, graph: StudyGraph, artifacts: Mapping[str, Artifact], *, split: str
) -> list[SliceRow]:
    features, method = shown_features(config), compared_methods(config)[0]
    shots, seeds = graph.num_shots[-1], config.study.seeds

    def predictions(seed: int) -> pa.Table:
        stage = graph.result(features, method, shots=shots, seed=seed).predict
        assert stage is not None
        return read_predictions(artifacts[stage.name], split, ANSWERS)

    common = on_common_images({features: {seed: predictions(seed) for seed in seeds}})[features]
    image_ids = common[seeds[0]].column("image_id")
    found = slice_accuracies(
        correct_matrix(common, image_ids.to_pylist()),
        slices_of(graph.manifest, image_ids, config.evaluation.slices),
        config.evaluation,
        seed=config.seed,
    )
    rows: list[SliceRow] = []
    for one in found:
        mean, low, high = _ends(one.accuracy)
        difference, difference_low, difference_high = _ends(one.difference)
        error = one.difference.standard_error if one.difference else 0.0
        rows.append(
            {
                "features": features,
                "method": method,
                "split": split,
                "shots": shots,
                "attribute": one.slice.attribute,
                "value": one.slice.value,
                "num_images": len(one.slice.rows),
                "mean": mean,
                "ci_low": low,
                "ci_high": high,
                "difference": difference,
                "difference_ci_low": difference_low,
                "difference_ci_high": difference_high,
                "detectable": detectable_difference(error, confidence=config.evaluation.confidence),
                "p_value": None if difference is None else p_value(difference, error),
                "p_holm": None,
            }
        )
    return rows


def _ends(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if found is None else (found.mean, found.low, found.high)
