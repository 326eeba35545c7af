"""What holds of every method, and of one that is added."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from gist_ray.errors import UserError
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.methods import METHODS
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Problem, Split, TextSet
from gist_ray.methods.stage import fit_stage, predict_stage
from gist_ray.settings.check import build
from gist_ray.settings.commandline import CONFIGS, compose_values
from gist_ray.settings.declare import settings
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import StudyGraph, build_graph
from gist_ray.sweep.config import SweepRun
from gist_ray.sweep.trials import make_trial, plan_trial, task_of
from tests.methods.made import CLASS_TEXTS, TEST, TEXT_SETS, TRAIN, VAL, problem, ran, stages

TINY = [
    "data.num_genera=1",
    "data.species_per_genus=2",
    "data.train_per_species=2",
    "data.val_per_species=1",
    "data.test_per_species=1",
    "study.shots=[1]",
    "study.seeds=[1]",
]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is_and_has_a_file_of_its_settings(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert all((method.label, method.meaning, method.source))
    values = yaml.safe_load((CONFIGS / "methods" / f"{name}.yaml").read_text())
    assert values.keys() == {name}
    assert values[name].keys() == {field.name for field in fields(method.config)}
    assert method.config(**values[name]) == method.config()


def test_no_file_is_of_a_method_that_there_is_not() -> None:
    assert {file.stem for file in (CONFIGS / "methods").glob("*.yaml")} == METHODS.keys()


@settings
class ToyConfig:
    shift: float = 0.5
    """What the logit of class 0 is raised by."""


@dataclass(frozen=True)
class ToyClassifier:
    centres: np.ndarray
    shift: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        logits = features.astype(np.float64) @ self.centres.T
        logits[:, 0] += self.shift
        return logits


def fit_toy(problem: Problem, config: ToyConfig) -> ToyClassifier:
    train = problem.train
    centres = [train.features[train.labels == c].mean(axis=0) for c in range(problem.num_classes)]
    return ToyClassifier(np.stack(centres), config.shift)


TOY = Method(
    name="toy",
    label="toy",
    meaning="dot product of the image with the mean feature of the class",
    source="ours",
    config=ToyConfig,
    fit=fit_toy,
    classifier=ToyClassifier,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)


@pytest.fixture
def own_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file of a method that was added, and with a sweep."""
    monkeypatch.setitem(METHODS, "toy", TOY)
    for name, text in (
        ("methods/toy", "toy:\n  shift: 0.25\n"),
        ("sweep/own", "space:\n  methods.toy.shift: [0.1, 0.2]\n"),
    ):
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir()
        file.write_text(text)
    return tmp_path


def graph_of(config_dir: Path, *words: str) -> StudyGraph:
    config: RunConfig = build(RunConfig, compose_values("config", [*TINY, *words], config_dir))
    return build_graph(config, ArtifactStore("memory://nowhere"))


def test_a_method_that_is_added_is_in_the_graph_of_a_study(own_configs: Path) -> None:
    graph = graph_of(own_configs, "methods=[linear_probe,toy]", "study.trainings=[gist]")
    names = [stage.name for stage in graph.stages]
    for features in ("frozen", "gist"):
        assert f"fit toy on {features} 1-shot seed 1" in names
        assert f"predict toy on {features} 1-shot seed 1" in names
        result = graph.result(features, "toy", shots=1, seed=1)
        assert result.fit.identity["config"] == {"shift": 0.25}
        assert result.predict is not None
        [measured] = [one for one in graph.metrics if one.name.startswith(f"measure {features}")]
        assert measured.inputs["toy test"] is result.predict
        assert measured.inputs["toy val"] is result.fit
    assert {key.method for key in graph.results} == {"linear_probe", "toy"}


def test_its_settings_are_set_and_count(own_configs: Path) -> None:
    one, other = (
        graph_of(own_configs, "methods=[toy]", f"methods.toy.shift={shift}").result(
            "frozen", "toy", shots=1, seed=1
        )
        for shift in (0.1, 0.2)
    )
    assert one.fit.fingerprint != other.fit.fingerprint
    assert one.features.images.fingerprint == other.features.images.fingerprint


def test_a_sweep_may_vary_it_and_choose_by_it(own_configs: Path, tmp_path: Path) -> None:
    words = [*TINY, "study.trainings=[]", "sweep=own", f"root={tmp_path}/root"]
    run: SweepRun = build(
        SweepRun,
        compose_values(
            "sweep", [*words, "methods=[linear_probe,toy]", "sweep.method=toy"], own_configs
        ),
    )
    task = task_of(run, {})
    one, other = (plan_trial(task, make_trial({"methods.toy.shift": v})) for v in (0.1, 0.2))
    assert one.config.methods["toy"] == ToyConfig(shift=0.1)
    assert one.fingerprint != other.fingerprint
    names = {stage.name for stage in one.stages}
    assert "fit toy on frozen 1-shot seed 1" in names


def test_a_sweep_lists_it_among_the_methods_to_choose_by(own_configs: Path, tmp_path: Path) -> None:
    words = [*TINY, "study.trainings=[]", "sweep=own", f"root={tmp_path}/root"]
    words += ["methods=[linear_probe,toy]", "sweep.method=sgd_probe"]
    run: SweepRun = build(SweepRun, compose_values("sweep", words, own_configs))
    with pytest.raises(UserError, match=r"sweep\.method=sgd_probe: .* linear_probe, toy\."):
        plan_trial(task_of(run, {}), make_trial({"methods.toy.shift": 0.1}))


def test_its_classifier_is_stored_and_predicts(tmp_path: Path) -> None:
    held = stages({"train": TRAIN, "val": VAL, "test": TEST})
    sample = {key: held[key] for key in ("manifest", "shots", "image_embeddings")}
    fit = fit_stage("fit", TOY, ToyConfig(shift=100), inputs=sample, seed=1)
    inputs = {key: held[key] for key in ("manifest", "image_embeddings")}
    done = ran(
        ArtifactStore(str(tmp_path)), predict_stage("predict", TOY, inputs | {"classifier": fit})
    )
    found = read_predictions(done["predict"].artifact, "test")
    assert set(found.column("predicted").to_pylist()) == {0}


SPLITS = ("train", "val")

STARTS_AT_RANDOM = {"sgd_probe", "tap", "tap_clean", "lp_plus_plus", "lp_plus_plus_val"}
"""The order of the classes decides which random numbers each of them gets."""


@pytest.mark.parametrize("name", [name for name in METHODS if name not in STARTS_AT_RANDOM])
def test_other_numbers_for_the_classes_give_the_same_probabilities(name: str) -> None:
    method, order = METHODS[name], np.array([3, 0, 5, 1, 4, 2])
    given = problem()
    renamed = problem(
        **{s: replace(getattr(given, s), labels=order[getattr(given, s).labels]) for s in SPLITS},
        texts={key: replace(one, labels=order[one.labels]) for key, one in given.texts.items()},
    )
    straight, permuted = (
        probabilities_of(method.fit(one, method.config()), TEST.features)
        for one in (given, renamed)
    )
    np.testing.assert_allclose(permuted[:, order], straight, atol=3e-3)


@pytest.mark.parametrize("name", [name for name in METHODS if "labels" in METHODS[name].needs])
def test_no_training_image_is_said(name: str) -> None:
    method = METHODS[name]
    with pytest.raises(UserError, match="no training image: check the split and the shots"):
        method.fit(problem(train=Split.none()), method.config())


@pytest.mark.parametrize("name", [name for name in METHODS if "class" in METHODS[name].texts])
def test_a_class_without_text_is_said(name: str) -> None:
    method, texts = METHODS[name], CLASS_TEXTS
    kept = texts.labels != 2
    fewer = TextSet([""] * int(kept.sum()), texts.features[kept], texts.labels[kept])
    with pytest.raises(UserError, match=r"1 classes have no text: labels \[2\]"):
        method.fit(problem(texts={**TEXT_SETS, "class": fewer}), method.config())


@pytest.mark.parametrize("name", METHODS)
def test_a_class_without_image_is_predicted_by_its_text_or_never(name: str) -> None:
    method = METHODS[name]
    kept = TRAIN.labels != 3
    fewer = Split(TRAIN.image_ids.filter(kept), TRAIN.features[kept], TRAIN.labels[kept])
    logits = method.fit(problem(train=fewer), method.config()).logits(TEST.features)
    assert not np.isnan(logits).any()
    assert np.isfinite(np.delete(logits, 3, axis=1)).all()
    assert np.isfinite(logits[:, 3]).all() or (logits[:, 3] == -np.inf).all()


def test_concepts_are_made_and_embedded_where_a_method_reads_them(own_configs: Path) -> None:
    names = [
        {stage.name for stage in graph_of(own_configs, f"methods=[{one}]").stages}
        for one in ("toy", "ccli")
    ]
    of_concepts = {"concepts", "embed concepts texts frozen"}
    assert not of_concepts & names[0]
    assert of_concepts <= names[1]
