import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gist_ray.encoders.clip import Clip, embed_texts, load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.images.decode import ImageError
from gist_ray.images.limits import ImageLimits
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.zero_shot_best_texts import BestTextsClassifier
from gist_ray.predict.classifier import Classifier, predict_features
from gist_ray.predict.folder import load_classifier, save_classifier

NAMES = ["red one", "green one", "blue one"]
TEXTS = ["red wings", "a small red body", "green wings", "blue wings"]
LABELS = np.array([0, 0, 1, 2])


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip(ClipConfig())


@pytest.fixture
def by_texts(clip: Clip) -> Classifier:
    texts = TextSet(TEXTS, embed_texts(clip, TEXTS), LABELS)
    fitted = BestTextsClassifier(texts.features, LABELS, 3, 1, clip.logit_scale)
    method, about = "zero_shot_best_texts", {"run": "by hand"}
    return Classifier(clip, fitted, method, NAMES, texts, 1.0, 0.0, ImageLimits(), about)


def in_folder(classifier: Classifier, folder: Path) -> str:
    """As `gist-ray export` leaves it."""
    save_classifier(classifier, open_clip_name(ClipConfig()), str(folder))
    return str(folder)


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (80, 60), colour)


def test_features_of_a_text_get_its_class_and_the_text_itself(by_texts: Classifier) -> None:
    found = predict_features(by_texts, by_texts.class_texts.features)  # type: ignore[union-attr]
    assert [one.label for one in found] == LABELS.tolist()
    assert [one.explanation for one in found] == TEXTS
    assert found[0].similarity == pytest.approx(1, abs=1e-5)
    assert found[0].class_name == "red one"
    assert found[0].top5[0] == ("red one", found[0].probability)
    assert sum(chance for _, chance in found[0].top5) == pytest.approx(1)


def test_a_stored_classifier_says_the_same(by_texts: Classifier, tmp_path: Path) -> None:
    picture("red").save(tmp_path / "red.png")
    loaded = load_classifier(in_folder(by_texts, tmp_path))
    assert loaded.predict(tmp_path / "red.png") == by_texts.predict(picture("red"))
    assert loaded.about == {"run": "by hand"}


def test_a_linear_classifier_is_stored_with_its_unseen_classes(
    by_texts: Classifier, tmp_path: Path
) -> None:
    linear = with_probe(by_texts)
    found = load_classifier(in_folder(linear, tmp_path)).predict(picture("green"))
    assert found == linear.predict(picture("green"))
    assert dict(found.top5)["green one"] == 0


def with_probe(classifier: Classifier, dim: int = 0) -> Classifier:
    """With another fitted classifier, whose second class had no training image."""
    dim = dim or classifier.clip.model.visual.output_dim
    weight = np.random.default_rng(0).normal(size=(3, dim))
    fitted = LinearClassifier(weight, np.array([0.0, -np.inf, 0.5]), 10.0, 2.0)
    return replace(classifier, fitted=fitted, method="linear_probe")


def test_below_the_threshold_is_withheld(by_texts: Classifier) -> None:
    chance = by_texts.predict(picture("red")).probability
    assert not replace(by_texts, threshold=chance).predict(picture("red")).abstained
    assert replace(by_texts, threshold=chance + 1e-6).predict(picture("red")).abstained


def test_a_class_without_texts_has_no_explanation(by_texts: Classifier) -> None:
    texts = by_texts.class_texts
    assert texts is not None
    few = TextSet(TEXTS[2:], texts.features[2:], LABELS[2:])
    found = predict_features(replace(by_texts, class_texts=few), texts.features)
    assert [one.explanation for one in found] == [None, None, *TEXTS[2:]]


def test_an_image_without_pixels_is_an_image_error(by_texts: Classifier, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="not an image"):
        by_texts.predict(tmp_path / "broken.png")


def test_a_classifier_reads_the_pictures_that_its_run_read(
    by_texts: Classifier, tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    picture("red").save(large)
    with large.open("r+b") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ImageError, match="at most"):
        by_texts.predict(large)
    of_run = replace(by_texts, limits=ImageLimits(max_image_mib=65))
    folder = in_folder(of_run, tmp_path / "classifier")
    assert load_classifier(folder).predict(large) == by_texts.predict(picture("red"))


def test_a_folder_from_before_limits_were_kept_has_the_usual_ones(
    by_texts: Classifier, tmp_path: Path
) -> None:
    folder = in_folder(by_texts, tmp_path)
    file = tmp_path / "classifier.json"
    description = json.loads(file.read_text())
    del description["limits"]
    file.write_text(json.dumps(description))
    assert load_classifier(folder).limits == ImageLimits()


def test_a_classifier_that_explains_nothing_is_stored_too(
    by_texts: Classifier, tmp_path: Path
) -> None:
    alone = replace(with_probe(by_texts), class_texts=None)
    loaded = load_classifier(in_folder(alone, tmp_path))
    assert loaded.class_texts is None
    found = loaded.predict(picture("green"))
    assert found == alone.predict(picture("green"))
    assert (found.explanation, found.similarity) == (None, None)


def test_folders_that_are_no_classifier_are_said(by_texts: Classifier, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no classifier\.json"):
        load_classifier(str(tmp_path))
    folder = in_folder(by_texts, tmp_path)
    file = tmp_path / "classifier.json"
    description = json.loads(file.read_text())

    def refused(changes: dict[str, object], message: str) -> None:
        file.write_text(json.dumps({**description, **changes}))
        with pytest.raises(UserError, match=message):
            load_classifier(folder)

    refused({"class_names": [*NAMES, "a fourth"]}, "has 3 classes where classifier.json names 4")
    refused({"texts": description["texts"][1:]}, "texts.safetensors: is not that of")
    other = [{**description["texts"][0], "label": 2}, *description["texts"][1:]]
    refused({"texts": other}, "texts.safetensors: is not that of .* other texts")
    refused({"method": "linear_probe"}, "is not a stored classifier of this method")
    refused({"method": "svm"}, "method 'svm' is unknown")
    refused({"format": 1}, "format Input should be greater than or equal to 2")
    refused({"temperature": 0}, "temperature Input should be greater than 0")
    file.write_text("{")
    with pytest.raises(UserError, match="Expecting property name"):
        load_classifier(folder)
    file.write_text(json.dumps(description))
    assert load_classifier(folder).method == "zero_shot_best_texts"


@pytest.mark.parametrize("name", ["classifier.safetensors", "texts.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_a_file_that_is_missing_or_damaged_is_said(
    name: str, content: bytes | None, by_texts: Classifier, tmp_path: Path
) -> None:
    folder = in_folder(by_texts, tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: is not"):
        load_classifier(folder)


def test_a_classifier_of_another_model_is_said(by_texts: Classifier, tmp_path: Path) -> None:
    foreign = with_probe(by_texts, dim=by_texts.clip.model.visual.output_dim + 1)
    folder = in_folder(foreign, tmp_path)
    with pytest.raises(UserError, match=r"classifier\.safetensors: does not fit the model beside"):
        load_classifier(folder)


class Explained(LinearClassifier):
    """A tiny fake that names the class by which it explains."""

    def explain(self, features: np.ndarray, labels: np.ndarray) -> list[list[tuple[str, float]]]:
        return [[] if label == 0 else [(f"part {label}", 0.75)] for label in labels]


def test_a_classifier_that_explains_itself_is_quoted(by_texts: Classifier) -> None:
    fitted = Explained(np.eye(3), np.zeros(3), 1.0)
    found = predict_features(replace(by_texts, fitted=fitted), np.eye(3, dtype=np.float32))
    assert [one.explanation for one in found] == [None, "part 1 (0.75)", "part 2 (0.75)"]
    assert [one.similarity for one in found] == [None] * 3
