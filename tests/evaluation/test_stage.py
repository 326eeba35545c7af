import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.evaluation.metrics import METRIC_NAMES, compute_metrics
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.evaluation.stage import Measured, measure_stage
from gist_ray.methods import METHODS
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Split
from gist_ray.methods.stage import fit_stage, predict_stage
from gist_ray.run.stage import Done, Stage
from gist_ray.schema import METRICS
from gist_ray.store.artifacts import ArtifactStore
from tests.methods.made import TEST, TRAIN, VAL, problem, ran, split, stages

CONFIG = EvaluationConfig(num_bootstrap=50)
METHODS_OF_RUN = ["linear_probe", "zero_shot_name", "zero_shot_texts", "zero_shot_best_texts"]
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
NIGHT = split("night", 3, 4)
MEASURED = Measured(
    features="gist",
    data="made",
    shots=5,
    seed=2,
    bootstrap_seed=2,
    params={"k": 3, "backbone": "tiny"},
)


def run(
    root: Path,
    splits: dict[str, Split] = SPLITS,
    measured: Measured = MEASURED,
    names: Sequence[str] = METHODS_OF_RUN,
) -> tuple[pa.Table, dict[str, Done]]:
    """METRICS of some methods on tuned features, which belong to a draw whatever the method, and
    all that was made for them."""
    held = stages(splits)
    sample = {key: held[key] for key in ("manifest", "image_embeddings", "shots")}
    explaining = {key: held[key] for key in ("texts class", "text_embeddings class")}
    measured_on: dict[tuple[str, str], Stage] = {}
    for name in names:
        method = METHODS[name]
        texts = {
            f"{kind} {one}": held[f"{kind} {one}"]
            for one in method.texts
            for kind in ("texts", "text_embeddings")
        }
        fit = fit_stage(f"fit {name}", method, method.config(), inputs={**sample, **texts}, seed=2)
        images = {key: held[key] for key in ("manifest", "image_embeddings")}
        inputs = {**images, **explaining, "classifier": fit}
        measured_on[name, "val"] = fit
        predict = predict_stage(f"predict {name}", method, inputs)
        for one in splits:
            if one.startswith("test"):
                measured_on[name, one] = predict
    stage = measure_stage(
        "measure", measured, CONFIG, manifest=held["manifest"], predictions=measured_on
    )
    done = ran(ArtifactStore(str(root)), stage)
    return done["measure"].artifact.read(), done


def test_every_method_has_every_metric_and_the_draw(tmp_path: Path) -> None:
    metrics, _ = run(tmp_path)
    assert metrics.schema == METRICS
    rows = metrics.to_pylist()
    assert {(row["method"], row["split"], row["metric"]) for row in rows} == {
        (name, split, metric)
        for name in METHODS_OF_RUN
        for split in ("val", "test")
        for metric in METRIC_NAMES
    }
    assert len(rows) == 4 * 2 * len(METRIC_NAMES)
    for row in rows:
        assert (row["features"], row["data"], row["shots"], row["seed"]) == ("gist", "made", 5, 2)
        assert row["slice"] == ""
        assert json.loads(row["params"]) == {"backbone": "tiny", "k": 3}
        assert row["num_samples"] == {"val": 24, "test": 60}[row["split"]]
        if row["metric"] == "top1":
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
            assert row["value"] > 0.7


def test_metrics_are_those_of_the_predictions_and_of_the_probabilities(tmp_path: Path) -> None:
    metrics, done = run(tmp_path)
    values = {(r["method"], r["split"], r["metric"]): r["value"] for r in metrics.to_pylist()}
    for name in METHODS_OF_RUN:
        found = read_predictions(done[f"predict {name}"].artifact, "test").to_pylist()
        assert [row["image_id"] for row in found] == TEST.image_ids.to_pylist()
        correct = np.mean([row["label"] == row["predicted"] for row in found])
        assert values[name, "test", "top1"] == pytest.approx(correct)
        classifier = METHODS[name].fit(problem(), METHODS[name].config())
        for split_name, images in (("val", VAL), ("test", TEST)):
            of_all = compute_metrics(probabilities_of(classifier, images.features), images.labels)
            assert {m: values[name, split_name, m] for m in METRIC_NAMES} == of_all


def test_every_test_set_is_measured_apart(tmp_path: Path) -> None:
    metrics, done = run(tmp_path, {**SPLITS, "test/night": NIGHT})
    rows = metrics.to_pylist()
    assert {(row["method"], row["split"], row["metric"]) for row in rows} == {
        (name, split, metric)
        for name in METHODS_OF_RUN
        for split in ("val", "test", "test/night")
        for metric in METRIC_NAMES
    }
    assert {row["num_samples"] for row in rows if row["split"] == "test/night"} == {18}
    # what test says does not depend on there being another one
    of_test = [row for row in rows if row["split"] == "test"]
    alone, _ = run(tmp_path)
    assert of_test == [row for row in alone.to_pylist() if row["split"] == "test"]
    of_night = {
        (row["method"], row["metric"]): row["value"] for row in rows if row["split"] == "test/night"
    }
    for name in METHODS_OF_RUN:
        found = read_predictions(done[f"predict {name}"].artifact, "test/night")
        assert found.column("image_id").to_pylist() == NIGHT.image_ids.to_pylist()
        right = np.equal(found.column("label"), found.column("predicted"))
        assert of_night[name, "top1"] == pytest.approx(right.mean())


def test_no_val_images(tmp_path: Path) -> None:
    metrics, _ = run(tmp_path, {"train": TRAIN, "test": TEST})
    assert set(metrics.column("split").to_pylist()) == {"test"}


def test_what_no_draw_changes_has_neither_shots_nor_seed(tmp_path: Path) -> None:
    measured = Measured(
        features="frozen", data="made", shots=None, seed=None, bootstrap_seed=1, params={}
    )
    metrics, _ = run(tmp_path, measured=measured, names=["zero_shot_name"])
    assert metrics.column("shots").null_count == metrics.column("seed").null_count == len(metrics)


def test_the_bootstrap_has_a_seed_of_its_own(tmp_path: Path) -> None:
    def interval(bootstrap_seed: int) -> list[tuple[float, float, float]]:
        measured = Measured(**{**vars(MEASURED), "bootstrap_seed": bootstrap_seed})
        metrics, _ = run(tmp_path, measured=measured, names=["zero_shot_name"])
        return [(row["value"], row["ci_low"], row["ci_high"]) for row in metrics.to_pylist()]

    one, other = interval(1), interval(2)
    assert one == interval(1)
    assert [row[0] for row in one] == [row[0] for row in other]
    assert one != other
