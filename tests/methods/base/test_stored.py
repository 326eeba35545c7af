import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from gist_ray.errors import UserError
from gist_ray.methods import METHODS
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.stored import NUMBERS, load_classifier, save_classifier
from gist_ray.methods.zero_shot_best_texts import BestTextsClassifier
from gist_ray.store import storage
from tests.methods.made import TEST, problem

LINEAR = LinearClassifier(np.array([[1.0, 0.5], [0.0, 2.0]]), np.array([0.0, -np.inf]), 10.0)
REFUSED = "is not a stored classifier of this method"


@pytest.mark.parametrize("name", METHODS)
def test_a_stored_classifier_says_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    method = METHODS[name]
    fitted = method.fit(problem(), method.config())
    save_classifier(fitted, f"{tmp_path}/c.safetensors")
    loaded = load_classifier(f"{tmp_path}/c.safetensors", method.classifier)
    assert type(loaded) is type(fitted) is method.classifier
    np.testing.assert_array_equal(loaded.logits(TEST.features), fitted.logits(TEST.features))


def test_numbers_keep_their_type_and_none_stays_none(tmp_path: Path) -> None:
    for c in (None, 0.1, 1e-6):
        stored = LinearClassifier(LINEAR.weight, LINEAR.bias, 10.0, c)
        save_classifier(stored, f"{tmp_path}/c")
        loaded = load_classifier(f"{tmp_path}/c", LinearClassifier)
        assert isinstance(loaded, LinearClassifier)
        assert (loaded.feature_scale, loaded.c) == (10.0, c)
        assert loaded.bias.tolist() == [0, -np.inf]
        assert loaded.weight.dtype == np.float64
    texts = BestTextsClassifier(np.eye(2, dtype=np.float32), np.array([0, 1]), 2, 3, 50.0)
    save_classifier(texts, f"{tmp_path}/c")
    again = load_classifier(f"{tmp_path}/c", BestTextsClassifier)
    assert isinstance(again, BestTextsClassifier)
    assert (again.num_classes, again.m, again.logit_scale) == (2, 3, 50.0)
    assert (again.text_features.dtype, again.text_labels.dtype) == (np.float32, np.int64)


def test_an_array_that_does_not_lie_in_order_is_stored_as_it_reads(tmp_path: Path) -> None:
    weight = np.arange(6.0).reshape(2, 3).T
    save_classifier(LinearClassifier(weight, np.zeros(3), 1.0), f"{tmp_path}/c")
    loaded = load_classifier(f"{tmp_path}/c", LinearClassifier)
    assert isinstance(loaded, LinearClassifier)
    np.testing.assert_array_equal(loaded.weight, weight)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"none: {REFUSED} .FileNotFoundError"):
        load_classifier(f"{tmp_path}/none", LinearClassifier)


@pytest.mark.parametrize("length", [0, 4, 8, 60, -8])
def test_a_file_that_was_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    file = f"{tmp_path}/c"
    save_classifier(LINEAR, file)
    storage.write_bytes(file, storage.read_bytes(file)[:length])
    with pytest.raises(UserError, match=REFUSED):
        load_classifier(file, LinearClassifier)


@pytest.mark.parametrize(
    ("place", "byte"),
    # the length of the header, its opening brace, and a byte that is not UTF-8 in it
    [(0, 0xFF), (7, 0xFF), (8, ord("x")), (12, 0xFF)],
)
def test_a_damaged_header_is_refused(place: int, byte: int, tmp_path: Path) -> None:
    file = f"{tmp_path}/c"
    save_classifier(LINEAR, file)
    data = bytearray(storage.read_bytes(file))
    data[place] = byte
    storage.write_bytes(file, bytes(data))
    with pytest.raises(UserError, match=REFUSED):
        load_classifier(file, LinearClassifier)


ARRAYS = {"weight": LINEAR.weight, "bias": LINEAR.bias}


@pytest.mark.parametrize(
    "content",
    [
        b"no safetensors at all, and longer than a header's length",
        save(ARRAYS),
        save(ARRAYS, metadata={"other": "{}"}),
        save(ARRAYS, metadata={NUMBERS: "{"}),
        save(ARRAYS, metadata={NUMBERS: "[1]"}),
        save(ARRAYS, metadata={NUMBERS: "{}"}),
        save({}, metadata={NUMBERS: json.dumps({"feature_scale": 1.0})}),
        save(ARRAYS, metadata={NUMBERS: json.dumps({"feature_scale": 1.0, "other": 2})}),
    ],
    ids=[
        "text",
        "no metadata",
        "no numbers",
        "broken JSON",
        "a list of numbers",
        "a number that is missing",
        "arrays that are missing",
        "a number too many",
    ],
)
def test_a_foreign_file_is_refused(content: bytes, tmp_path: Path) -> None:
    file = f"{tmp_path}/c"
    storage.write_bytes(file, content)
    with pytest.raises(UserError, match=REFUSED):
        load_classifier(file, LinearClassifier)


def test_a_classifier_of_another_method_is_refused(tmp_path: Path) -> None:
    file = f"{tmp_path}/c"
    save_classifier(LINEAR, file)
    with pytest.raises(UserError, match=f"{REFUSED} .TypeError"):
        load_classifier(file, BestTextsClassifier)
