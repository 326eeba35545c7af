import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.evaluation.comparison import compare, correct_matrix, summarise_seeds
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.schema import METRICS, PREDICTIONS, table

CONFIG = EvaluationConfig(num_bootstrap=200)


def predictions(correct: list[int], ids: str) -> pa.Table:
    return table(
        [
            {"image_id": image_id, "label": 1, "predicted": right, "top5": [right]}
            | {"probability": 0.5}
            for image_id, right in zip(ids, correct, strict=True)
        ],
        PREDICTIONS,
    )


def test_images_are_paired_by_id_and_seeds_by_number() -> None:
    of_seeds = {2: predictions([0, 1, 1], "cab"), 1: predictions([1, 1, 0], "abc")}
    assert correct_matrix(of_seeds, ["a", "b", "c"]).tolist() == [[1, 1, 0], [1, 1, 0]]
    found = compare(
        of_seeds, {seed: predictions([1, 0, 0], "abc") for seed in (1, 2)}, CONFIG, seed=0
    )
    assert found.mean == pytest.approx(1 / 3)
    assert found.per_seed.tolist() == pytest.approx([1 / 3, 1 / 3])
    assert found.num_images == 3


def test_other_images_or_seeds_are_errors() -> None:
    one, two = {1: predictions([1], "a")}, {1: predictions([1], "b")}
    with pytest.raises(UserError, match=r"seed 1 are of other test images: 2 differ.*'a'"):
        compare(one, two, CONFIG, seed=0)
    with pytest.raises(UserError, match=r"with seeds \[1\] and \[2\]"):
        compare(one, {2: one[1]}, CONFIG, seed=0)


def test_seeds_are_summarised_per_setting() -> None:
    def row(shots: int, seed: int | None, value: float) -> dict[str, object]:
        return {
            "features": "gist",
            "method": "linear_probe",
            "data": "made",
            "params": '{"backbone": "tiny", "k": 3}',
            "shots": shots,
            "seed": seed,
            "split": "test",
            "slice": "",
            "metric": "top1",
            "value": value,
            "num_samples": 600,
        }

    rows = [row(1, 1, 0.4), row(5, 1, 0.7), row(1, 2, 0.5), row(1, 3, 0.6), row(1, None, 0.1)]
    one_shot, five_shot = summarise_seeds(table(rows, METRICS), CONFIG).to_pylist()
    assert one_shot["value"] == pytest.approx(0.5)
    assert (one_shot["ci_low"], one_shot["ci_high"]) == pytest.approx(
        seeds_interval(np.array([0.4, 0.5, 0.6]), 0.95)
    )
    assert (one_shot["seed"], one_shot["shots"], one_shot["num_samples"]) == (None, 1, 600)
    # two draws far apart say no more than that it lies in 0 to 1
    (wide,) = summarise_seeds(table([row(1, 1, 0.2), row(1, 2, 0.9)], METRICS), CONFIG).to_pylist()
    assert (wide["ci_low"], wide["ci_high"]) == (0, 1)
    assert (five_shot["value"], five_shot["ci_low"]) == (0.7, None)
