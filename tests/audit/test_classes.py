import numpy as np
import pytest

from gist_ray.audit.classes import similar_classes
from gist_ray.methods.base.problem import TextSet

CLASSES = [(0, "gull"), (1, "Gull"), (2, "owl")]


def names(*directions: tuple[float, float]) -> dict[str, TextSet]:
    features = np.array(directions, np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return {"names": TextSet(["x"] * len(features), features, np.arange(len(features)))}


def test_classes_whose_names_are_nearly_equal() -> None:
    wins = np.full((3, 3), 50)
    found = similar_classes(
        CLASSES, wins, names((1, 0), (1, 0.01), (0, 1)), min_similarity=0.98
    ).to_pylist()
    assert [(row["class_name"], row["other_class_name"]) for row in found] == [("gull", "Gull")]
    assert found[0]["reasons"] == ["names"]
    assert found[0]["names_similarity"] == pytest.approx(1, abs=1e-3)
    assert (found[0]["accuracy"], found[0]["texts_similarity"]) == (1, None)


def test_classes_between_which_the_probe_does_no_better_than_chance() -> None:
    wins = np.array([[40, 22, 39], [19, 40, 40], [28, 40, 40]])
    apart = names((1, 0), (0, 1), (-1, 0))
    [row] = similar_classes(CLASSES, wins, apart, min_similarity=0.98).to_pylist()
    assert (row["label"], row["other_label"], row["reasons"]) == (0, 1, ["pictures"])
    assert row["accuracy"] == pytest.approx(41 / 80)
    assert row["ci_low"] < 0.5 < row["ci_high"]
    assert row["num_images"] == 80


def test_a_class_without_images_is_not_judged_by_pictures() -> None:
    wins = np.array([[40, 40, 40], [0, 0, 0], [40, 40, 40]])
    apart = names((1, 0), (0, 1), (-1, 0))
    assert len(similar_classes(CLASSES, wins, apart, min_similarity=0.98)) == 0
