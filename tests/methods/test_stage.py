from pathlib import Path

import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.evaluation.predictions import read_predictions
from gist_ray.methods import METHODS
from gist_ray.methods.base.problem import Problem, Split, TextSet
from gist_ray.methods.base.stored import load_classifier
from gist_ray.methods.stage import CLASSIFIER_FILE, fit_stage, predict_stage
from gist_ray.run.stage import Stage
from gist_ray.schema import PREDICTIONS
from gist_ray.store.artifacts import Artifact, ArtifactStore
from tests.methods.made import TEST, TRAIN, VAL, problem, ran, split, stages

SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}


def fit_of(name: str, held: dict[str, Stage], **settings: object) -> Stage:
    """As a study lays it out: no sample for a method that no draw changes."""
    method = METHODS[name]
    wanted = ["manifest", "image_embeddings", *(["shots"] if method.varies else [])]
    wanted += [f"{kind} {text_set}" for text_set in method.texts for kind in TEXT_KINDS]
    config = method.config(**settings)
    seed = 2 if "seed" in method.varies else None
    return fit_stage(
        f"fit {name}", method, config, inputs={key: held[key] for key in wanted}, seed=seed
    )


TEXT_KINDS = ("texts", "text_embeddings")
EXPLAINING = tuple(f"{kind} class" for kind in TEXT_KINDS)


def predict_of(
    name: str, fit: Stage, held: dict[str, Stage], explaining: tuple[str, ...] = EXPLAINING
) -> Stage:
    inputs = {key: held[key] for key in ("manifest", "image_embeddings", *explaining)}
    return predict_stage(f"predict {name}", METHODS[name], {**inputs, "classifier": fit})


def predicted(
    root: Path,
    name: str,
    splits: dict[str, Split] = SPLITS,
    explaining: tuple[str, ...] = EXPLAINING,
    **settings: object,
) -> tuple[Artifact, Artifact]:
    """The artifacts of the fit and of the predictions of a method."""
    held = stages(splits)
    fit = fit_of(name, held, **settings)
    predict = predict_of(name, fit, held, explaining)
    done = ran(ArtifactStore(str(root)), predict)
    return done[fit.name].artifact, done[predict.name].artifact


@pytest.mark.parametrize("name", METHODS)
def test_the_stored_classifier_is_that_of_the_draw_and_predicts_its_test_images(
    name: str, tmp_path: Path
) -> None:
    settings = {"num_epochs": 20} if name == "sgd_probe" else {}
    fit, predictions = predicted(tmp_path, name, **settings)
    method = METHODS[name]
    again = method.fit(problem(), method.config(**settings))
    stored = load_classifier(fit.file(CLASSIFIER_FILE), method.classifier)
    np.testing.assert_array_equal(stored.logits(TEST.features), again.logits(TEST.features))
    found = read_predictions(predictions, "test")
    assert found.schema == PREDICTIONS
    assert found.column("image_id").to_pylist() == TEST.image_ids.to_pylist()
    assert found.column("label").to_pylist() == TEST.labels.tolist()
    assert found.column("predicted").to_pylist() == again.logits(TEST.features).argmax(1).tolist()
    assert found.column("explanation").null_count == 0
    assert predictions.counts["rows_ok"] == 60
    right = np.equal(found.column("predicted"), found.column("label"))
    assert right.mean() > 0.7


def test_val_is_measured_and_predicted_where_the_method_sees_a_draw(tmp_path: Path) -> None:
    fit, _ = predicted(tmp_path, "linear_probe")
    of_val = read_predictions(fit, "val")
    assert of_val.column("image_id").to_pylist() == VAL.image_ids.to_pylist()
    right = np.equal(of_val.column("predicted"), of_val.column("label"))
    assert fit.info["val"]["num_images"] == 24
    assert fit.info["val"]["accuracy"] == right.mean()
    assert fit.info["val"]["log_loss"] > 0


def test_a_method_that_sees_no_draw_has_no_val(tmp_path: Path) -> None:
    fit, _ = predicted(tmp_path, "zero_shot_name")
    assert "val" not in fit.info
    assert len(read_predictions(fit, "val")) == 0


def test_without_val_images_nothing_is_measured_on_val(tmp_path: Path) -> None:
    fit, predictions = predicted(tmp_path, "linear_probe", {"train": TRAIN, "test": TEST})
    assert "val" not in fit.info
    assert len(read_predictions(fit, "val")) == 0
    assert len(read_predictions(predictions, "test")) == 60


def test_test_labels_change_no_prediction(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).permutation(TEST.labels)
    shuffled = {**SPLITS, "test": Split(TEST.image_ids, TEST.features, labels)}
    for name in METHODS:
        settings = {"num_epochs": 5} if name == "sgd_probe" else {}
        (_, one), (_, other) = (
            predicted(tmp_path, name, splits, **settings) for splits in (SPLITS, shuffled)
        )
        assert one.fingerprint != other.fingerprint
        straight, mixed = read_predictions(one, "test"), read_predictions(other, "test")
        assert not straight.column("label").equals(mixed.column("label"))
        for column in ("predicted", "top5", "probability", "explanation"):
            assert straight.column(column).equals(mixed.column(column))


def test_a_method_sees_no_test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Problem] = []
    method = METHODS["nearest_class_mean"]

    def fit(given: Problem, config: object) -> object:
        seen.append(given)
        return method.fit(given, config)

    held = stages(SPLITS)
    watched = type(method)(**{**vars(method), "fit": fit})
    inputs = {key: held[key] for key in ("manifest", "image_embeddings", "shots")}
    ran(
        ArtifactStore(str(tmp_path)),
        fit_stage("fit", watched, method.config(), inputs=inputs, seed=2),
    )
    [given] = seen
    assert given.train.image_ids.to_pylist() == TRAIN.image_ids.to_pylist()
    assert given.val.image_ids.to_pylist() == VAL.image_ids.to_pylist()
    assert (given.num_classes, given.seed, given.texts) == (6, 2, {})


def test_without_texts_predictions_explain_nothing(tmp_path: Path) -> None:
    _, predictions = predicted(tmp_path, "linear_probe", explaining=())
    assert read_predictions(predictions, "test").column("explanation").null_count == 60


def test_the_sgd_probe_is_another_classifier_than_the_logistic_one(tmp_path: Path) -> None:
    _, logistic = predicted(tmp_path, "linear_probe")
    _, sgd = predicted(tmp_path, "sgd_probe", num_epochs=5)
    one, other = (read_predictions(artifact, "test") for artifact in (logistic, sgd))
    assert not one.equals(other)


def test_every_test_set_is_predicted_apart(tmp_path: Path) -> None:
    night = split("night", 3, 4)
    splits = {**SPLITS, "test/night": night, "test/far": split("far", 1, 5)}
    _, predictions = predicted(tmp_path, "nearest_class_mean", splits)
    files = [part["file"] for part in predictions.info["parts"]]
    assert files == ["test.parquet", "test/far.parquet", "test/night.parquet"]
    found = read_predictions(predictions, "test/night")
    assert found.column("image_id").to_pylist() == night.image_ids.to_pylist()
    assert predictions.counts["rows_ok"] == 60 + 6 + 18


def test_a_data_set_may_have_named_test_sets_alone(tmp_path: Path) -> None:
    splits = {"train": TRAIN, "val": VAL, "test/night": TEST}
    _, predictions = predicted(tmp_path, "nearest_class_mean", splits)
    assert [part["file"] for part in predictions.info["parts"]] == ["test/night.parquet"]


def test_an_empty_test_split_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no labelled image to evaluate"):
        predicted(tmp_path, "linear_probe", {"train": TRAIN, "val": VAL})


def test_a_text_or_an_image_without_an_embedding_is_left_out(tmp_path: Path) -> None:
    held = stages(SPLITS, without=["class 0", "test0"])
    fit = fit_of("zero_shot_texts", held)
    predict = predict_of("zero_shot_texts", fit, held)
    done = ran(ArtifactStore(str(tmp_path)), predict)
    assert len(read_predictions(done[predict.name].artifact, "test")) == 59
    texts = without_text(problem().texts["class"], 0)
    again = METHODS["zero_shot_texts"].fit(problem(texts={"class": texts}), None)
    stored = load_classifier(done[fit.name].artifact.file(CLASSIFIER_FILE), type(again))
    np.testing.assert_array_equal(stored.logits(TEST.features), again.logits(TEST.features))


def without_text(texts: TextSet, place: int) -> TextSet:
    kept = np.arange(len(texts.texts)) != place
    left = [text for text, is_kept in zip(texts.texts, kept, strict=True) if is_kept]
    return TextSet(left, texts.features[kept], texts.labels[kept])


def test_a_class_name_without_an_embedding_is_an_error(tmp_path: Path) -> None:
    held = stages(SPLITS, without=["names 0"])
    with pytest.raises(UserError, match=r"zero-shot by name: .* labels \[0\]"):
        ran(ArtifactStore(str(tmp_path)), fit_of("zero_shot_name", held))


def test_embeddings_of_no_text_are_an_error(tmp_path: Path) -> None:
    held = stages(SPLITS, without=[f"class {number}" for number in range(24)])
    with pytest.raises(UserError, match="none of its texts has an embedding"):
        ran(ArtifactStore(str(tmp_path)), fit_of("zero_shot_texts", held))
