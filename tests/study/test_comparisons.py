from pathlib import Path

import pyarrow as pa
import pytest

from gist_ray.schema import METRICS, PREDICTIONS, table
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.comparisons import (
    HEADS,
    collect_metrics,
    compare_over_shots,
    compare_trainings,
    summarise,
)
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import RunGraph
from gist_ray.study.results import difference_line

CONFIG: RunConfig = build(
    RunConfig,
    compose_values("config", ["study.trainings=[gist]", "study.shots=[1]", "study.seeds=[1,2]"]),
)
FakeAnswers = dict[tuple[str, int], dict[str, bool]]
"""(training, seed) -> image -> whether it is classified right."""


def evaluated(root: Path, answers: FakeAnswers) -> tuple[RunGraph, dict[str, Artifact]]:
    """What a run's evaluations leave."""
    store, artifacts, keys = ArtifactStore(str(root)), {}, {}
    for (training, seed), rights in answers.items():
        key = f"evaluate {training} {seed}"
        writer = store.writer("evaluation", key, {"key": key}, {})
        rows = [
            {"method": f"{training}/{head}", "backbone": "b", "shots": 1, "seed": seed}
            | {"split": "test", "metric": "top1", "num_samples": len(rights)}
            | {"value": sum(rights.values()) / len(rights)}
            for head in (*HEADS, "zero_shot_name")
        ]
        writer.write(table(rows, METRICS))
        predictions = [
            {"image_id": image, "label": 1, "predicted": int(right), "top5": [1], "score": 0.5}
            for image, right in rights.items()
        ]
        for head in HEADS:
            uri = writer.file(f"predictions/{head}.parquet")
            storage.write_parquet(uri, table(predictions, PREDICTIONS))
        artifacts[key], keys[training, 1, seed] = writer.publish(0), key
    return RunGraph([], pa.table({}), keys, {}), artifacts


def test_both_intervals_stand_beside_the_paired_difference(tmp_path: Path) -> None:
    answers = {
        ("frozen", 1): {"a": False, "b": True},
        ("frozen", 2): {"a": False, "b": False},
        ("gist", 1): {"a": True, "b": True},
        ("gist", 2): {"a": True, "b": True},
    }
    row = compare_trainings(CONFIG, *evaluated(tmp_path, answers))[0]
    assert (row["method_a"], row["method_b"]) == ("gist/linear_probe", "frozen/linear_probe")
    assert row["per_seed"] == [0.5, 1.0]
    assert row["ci_low"] is not None
    assert row["seeds_ci_low"] is not None
    assert row["seeds_ci_low"] < row["ci_low"] <= row["mean"] == 0.75


def test_over_all_shots_every_draw_counts_once(tmp_path: Path) -> None:
    wrong, right = {"a": False, "b": False}, {"a": True, "b": True}
    graph, artifacts = evaluated(
        tmp_path,
        {("frozen", 1): wrong, ("frozen", 2): wrong, ("gist", 1): right, ("gist", 2): wrong},
    )
    assert compare_over_shots(CONFIG, graph, artifacts) == []
    # at 3 shots both seeds are what seed 1 is at one shot
    at_three = {
        (training, 3, seed): f"evaluate {training} 1" for training, _, seed in graph.evaluations
    }
    graph.evaluations.update(at_three)
    both = build(
        RunConfig,
        compose_values(
            "config", ["study.trainings=[gist]", "study.shots=[1,3]", "study.seeds=[1,2]"]
        ),
    )
    row = compare_over_shots(both, graph, artifacts)[0]
    assert row["per_seed"] == [1.0, 0.0, 1.0, 1.0]
    assert row["mean"] == 0.75


def test_an_image_that_one_model_could_not_read_counts_for_none(tmp_path: Path) -> None:
    both, one = {"a": True, "b": False}, {"a": True}
    answers = {("frozen", 1): both, ("frozen", 2): both, ("gist", 1): both, ("gist", 2): one}
    row = compare_trainings(CONFIG, *evaluated(tmp_path, answers))[0]
    assert row["per_seed"] == [0.0, 0.0]


def test_what_no_draw_changes_is_kept_once(tmp_path: Path) -> None:
    answers = {(training, seed): {"a": True} for training in ("frozen", "gist") for seed in (1, 2)}
    metrics = collect_metrics(*evaluated(tmp_path, answers))
    frozen = [
        (row["shots"], row["seed"])
        for row in metrics.to_pylist()
        if row["method"] == "frozen/zero_shot_name"
    ]
    assert frozen == [(None, None)]
    summary = {row["method"]: row["num_seeds"] for row in summarise(CONFIG, metrics)}
    assert summary["gist/zero_shot_name"] == 2
    assert summary["frozen/zero_shot_name"] == 1


@pytest.mark.parametrize(
    ("low", "per_seed", "end"),
    [
        (0.01, [0.03, 0.05], "= +4.0 points (+1.0 to +6.0); seeds +3.0 +5.0"),
        (None, [0.04], "= +4.0 points"),
    ],
)
def test_a_difference_in_a_line(low: float | None, per_seed: list[float], end: str) -> None:
    line = difference_line(
        {
            "method_a": "gist/linear_probe",
            "method_b": "frozen/linear_probe",
            "shots": 5,
            "metric": "top1",
            "mean": 0.04,
            "ci_low": low,
            "ci_high": None if low is None else 0.06,
            "per_seed": per_seed,
            "seeds_ci_low": None,
            "seeds_ci_high": None,
        }
    )
    assert line == f"5-shot: gist/linear_probe - frozen/linear_probe {end}"
