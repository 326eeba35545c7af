from collections.abc import Mapping
from pathlib import Path

import pytest

from gist_ray import schema
from gist_ray.evaluation.predictions import write_predictions
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import METRICS, PREDICTIONS, table
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.comparisons import (
    Difference,
    collect_metrics,
    compare_features,
    compare_over_shots,
    compared_methods,
    corrected,
    summarise,
)
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import StudyGraph, build_graph
from gist_ray.study.results import difference_line

Answers = Mapping[tuple[str, int, int], Mapping[str, bool]]
"""(features, shots, seed) -> image -> whether it is classified right."""

SMALL = [
    "data.num_genera=1",
    "data.species_per_genus=2",
    "data.train_per_species=3",
    "study.trainings=[gist]",
    "study.seeds=[1,2]",
    "evaluation.num_bootstrap=200",
]


def config_of(*words: str) -> RunConfig:
    config: RunConfig = build(RunConfig, compose_values("config", [*SMALL, *words]))
    return config


CONFIG = config_of("study.shots=[1]")


def evaluated(
    root: Path, answers: Answers, config: RunConfig = CONFIG
) -> tuple[RunConfig, StudyGraph, dict[str, Artifact]]:
    """A run of which every method answers so on every test set, and there is no val."""
    store = ArtifactStore(str(root))
    graph = build_graph(config, store)
    artifacts: dict[str, Artifact] = {}

    def leave(stage: Stage, splits: Mapping[str, Mapping[str, bool]]) -> None:
        writer = stage.writer(store)
        for split, rights in splits.items():
            rows = [
                {"image_id": image, "label": 1, "predicted": int(right), "probability": 0.5}
                | {"top5": [int(right), 1 - int(right)]}
                for image, right in rights.items()
            ]
            write_predictions(writer, split, table(rows, PREDICTIONS))
        artifacts[stage.name] = writer.publish(0)

    writer = graph.data.stage.writer(store)
    writer.write(graph.manifest)
    artifacts[graph.data.stage.name] = writer.publish(0)
    for result in graph.results.values():
        shots, seed = result.draw.num_shots, result.draw.seed
        assert result.predict is not None
        assert shots is not None
        rights = answers[result.key.features, shots, seed]
        leave(result.fit, {"val": {}})
        leave(result.predict, dict.fromkeys(schema.test_sets(graph.manifest), rights))
    for stage in graph.metrics:
        writer = stage.writer(store)
        inputs = {name: artifacts[source.name] for name, source in stage.inputs.items()}
        stage.run(inputs, writer, Progress())
        artifacts[stage.name] = writer.publish(0)
    return config, graph, artifacts


def test_both_intervals_stand_beside_the_paired_difference(tmp_path: Path) -> None:
    answers = {
        ("frozen", 1, 1): {"a": False, "b": True},
        ("frozen", 1, 2): {"a": False, "b": False},
        ("gist", 1, 1): {"a": True, "b": True},
        ("gist", 1, 2): {"a": True, "b": True},
    }
    row = compare_features(*evaluated(tmp_path, answers))[0]
    assert (row["features_a"], row["method_a"]) == ("gist", "linear_probe")
    assert (row["features_b"], row["method_b"]) == ("frozen", "linear_probe")
    assert (row["split"], row["shots"]) == ("test", 1)
    assert row["per_seed"] == [0.5, 1.0]
    assert row["ci_low"] is not None
    assert row["seeds_ci_low"] is not None
    assert row["seeds_ci_low"] < row["ci_low"] <= row["mean"] == 0.75


def test_over_all_shots_every_draw_counts_once(tmp_path: Path) -> None:
    wrong, right = {"a": False, "b": False}, {"a": True, "b": True}
    answers = {
        ("frozen", 1, 1): wrong,
        ("frozen", 1, 2): wrong,
        ("gist", 1, 1): right,
        ("gist", 1, 2): wrong,
    }
    assert compare_over_shots(*evaluated(tmp_path, answers)) == []
    # at 3 shots both seeds are what seed 1 is at one shot
    at_three = {(features, 3, seed): answers[features, 1, 1] for features, _, seed in answers}
    both = config_of("study.shots=[1,3]")
    row = compare_over_shots(*evaluated(tmp_path, {**answers, **at_three}, both))[0]
    assert row["per_seed"] == [1.0, 0.0, 1.0, 1.0]
    assert row["mean"] == 0.75
    assert row["shots"] is None


def test_an_image_that_one_model_could_not_read_counts_for_none(tmp_path: Path) -> None:
    both, one = {"a": True, "b": False}, {"a": True}
    answers = {
        ("frozen", 1, 1): both,
        ("frozen", 1, 2): both,
        ("gist", 1, 1): both,
        ("gist", 1, 2): one,
    }
    row = compare_features(*evaluated(tmp_path, answers))[0]
    assert row["per_seed"] == [0.0, 0.0]


ALL_RIGHT = {(features, 1, seed): {"a": True} for features in ("frozen", "gist") for seed in (1, 2)}


def test_what_no_draw_changes_is_kept_once(tmp_path: Path) -> None:
    config, graph, artifacts = evaluated(tmp_path, ALL_RIGHT)
    metrics = collect_metrics(graph, artifacts)
    assert metrics.schema == METRICS
    frozen = [
        (row["shots"], row["seed"])
        for row in metrics.to_pylist()
        if (row["features"], row["method"]) == ("frozen", "zero_shot_name")
        and row["metric"] == "top1"
    ]
    assert frozen == [(None, None)]
    summary = {
        (row["features"], row["method"]): row["num_seeds"] for row in summarise(config, metrics)
    }
    assert summary["gist", "zero_shot_name"] == 2
    assert summary["frozen", "zero_shot_name"] == 1
    assert summary["frozen", "linear_probe"] == 2


def test_only_what_k_changes_names_it(tmp_path: Path) -> None:
    _, graph, artifacts = evaluated(tmp_path, ALL_RIGHT)
    params = {
        (row["features"], row["params"]) for row in collect_metrics(graph, artifacts).to_pylist()
    }
    backbone = '"backbone": "butterfly-clip"'
    assert params == {
        ("frozen", f"{{{backbone}}}"),
        ("gist", f'{{{backbone}, "k": 3}}'),
    }


def test_every_test_set_is_summarised_and_compared_apart(tmp_path: Path) -> None:
    splits = ["train", "test", "test/night"]
    lines = [
        f"{name}/{number}.png,{name},{split}"
        for name in ("a", "b")
        for number, split in enumerate(splits)
    ]
    (tmp_path / "own.csv").write_text("\n".join(["image,class_name,split", *lines]))
    words = ["data=manifest", f"data.path={tmp_path}/own.csv", "prompts=generic"]
    sizes = [word for word in SMALL if not word.startswith("data.")]
    config: RunConfig = build(
        RunConfig, compose_values("config", [*sizes, *words, "study.shots=[1]"])
    )
    _, graph, artifacts = evaluated(tmp_path, ALL_RIGHT, config)
    summary = summarise(config, collect_metrics(graph, artifacts))
    for method in config.methods:
        rows = [row for row in summary if (row["method"], row["metric"]) == (method, "top1")]
        assert {(row["features"], row["split"]) for row in rows} == {
            (features, split) for features in ("frozen", "gist") for split in splits[1:]
        }
    assert [
        (row["split"], row["method_a"]) for row in compare_features(config, graph, artifacts)
    ] == [
        (split, method)
        for split in ("test", "test/night")
        for method in ("linear_probe", "zero_shot_best_texts")
    ]


def test_features_are_compared_by_known_methods_or_the_first_of_the_run() -> None:
    assert compared_methods(CONFIG) == ["linear_probe", "zero_shot_best_texts"]
    assert compared_methods(config_of("methods=[zero_shot_name,nearest_class_mean]")) == [
        "zero_shot_name"
    ]


def difference(**changes: object) -> Difference:
    row = {
        "features_a": "gist",
        "method_a": "linear_probe",
        "features_b": "frozen",
        "method_b": "linear_probe",
        "split": "test",
        "shots": 5,
        "metric": "top1",
        "mean": 0.04,
        "ci_low": None,
        "ci_high": None,
        "per_seed": [0.04],
        "seeds_ci_low": None,
        "seeds_ci_high": None,
        "detectable": None,
        "p_value": 1.0,
        "p_holm": None,
    }
    return row | changes  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("low", "per_seed", "end"),
    [
        (0.01, [0.03, 0.05], "= +4.0 points (+1.0 to +6.0); seeds +3.0 +5.0"),
        (None, [0.04], "= +4.0 points"),
    ],
)
def test_a_difference_in_a_line(low: float | None, per_seed: list[float], end: str) -> None:
    high = None if low is None else 0.06
    line = difference_line(difference(ci_low=low, ci_high=high, per_seed=per_seed))
    assert line == f"5-shot: gist linear_probe - frozen linear_probe {end}"


def test_a_line_says_what_could_have_been_shown() -> None:
    line = difference_line(difference(detectable=0.0214, per_seed=[0.03, 0.05]))
    assert line.endswith("= +4.0 points; could have shown 2.1 points or more; seeds +3.0 +5.0")


def test_p_values_are_corrected_for_all_that_is_compared() -> None:
    rows = [difference(p_value=p) for p in (0.01, 0.04, None, 0.03)]
    assert [row["p_holm"] for row in corrected(rows)] == pytest.approx([0.03, 0.06, None, 0.06])
    assert [row["p_holm"] for row in corrected([rows[0], rows[2]])] == [None, None]


def test_a_difference_has_the_power_of_its_own_bootstrap(tmp_path: Path) -> None:
    """Both seeds say the same, so the standard error is that of half of 40 images."""
    images = [str(number) for number in range(40)]
    wrong = dict.fromkeys(images, False)
    half = {image: number % 2 == 0 for number, image in enumerate(images)}
    answers = {("frozen", 1, seed): wrong for seed in (1, 2)}
    answers |= {("gist", 1, seed): half for seed in (1, 2)}
    row = compare_features(*evaluated(tmp_path, answers))[0]
    error = 0.5 / 40**0.5
    assert row["detectable"] == pytest.approx(2.80 * error, rel=0.15)
    assert row["p_value"] is not None
    assert row["p_value"] < 1e-6


def test_a_difference_on_another_test_set_says_so() -> None:
    line = difference_line(difference(split="test/night", shots=None))
    assert line.startswith("all images on test/night: gist linear_probe - frozen linear_probe = ")
