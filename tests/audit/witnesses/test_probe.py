from typing import Any

import numpy as np
import pytest

from gist_ray.audit.witnesses.probe import Folds, judge
from tests.audit.drawn import manifest, vectors

FOLDS = Folds(num_folds=4, max_images=1000, seed=0)
NUM = 90
WRONG = [4, 40, 70]


@pytest.fixture
def features() -> np.ndarray:
    """Three classes around one direction each."""
    rng = np.random.default_rng(0)
    return np.eye(3, 12)[np.arange(NUM) % 3] * 3 + rng.normal(size=(NUM, 12))


def rows(**more: Any) -> list[dict[str, Any]]:
    """The labels of the three classes, those of WRONG flipped."""
    return [
        {"label": (n + 1) % 3 if n in WRONG else n % 3, **{k: v(n) for k, v in more.items()}}
        for n in range(NUM)
    ]


def test_flipped_labels_are_the_most_suspicious(features: np.ndarray) -> None:
    found = judge(manifest(rows()), vectors(features), 3, folds=FOLDS)
    table = found.testimony.sort_by([("score", "descending")]).to_pylist()
    assert {row["image_id"] for row in table[:3]} == {f"i{n}" for n in WRONG}
    assert {row["image_id"]: row["suggested"] for row in table[:3]} == {
        f"i{n}": n % 3 for n in WRONG
    }
    assert 1 <= found.num_issues <= 6
    assert np.array_equal(np.diag(found.wins), np.bincount([r["label"] for r in rows()]))
    assert found.wins[0, 1] > 25


def test_an_image_is_judged_by_a_probe_that_did_not_see_its_group(features: np.ndarray) -> None:
    # copies of a wrong label: seen in training, they would vouch for each other
    features[[4, 40, 70, 16]] = features[4]
    labels = rows(group=lambda n: "burst" if n in (4, 40, 70, 16) else None)
    for n in (4, 40, 70, 16):
        labels[n]["label"] = 2
    found = judge(manifest(labels), vectors(features), 3, folds=FOLDS)
    said = {row["image_id"]: row["score"] for row in found.testimony.to_pylist()}
    assert min(said[f"i{n}"] for n in (4, 40, 70, 16)) > 0.5


def test_few_images_of_many_are_enough_to_fit_on(features: np.ndarray) -> None:
    few = Folds(num_folds=4, max_images=30, seed=0)
    one, other = (
        judge(manifest(rows()), vectors(features), 3, folds=folds).testimony
        for folds in (few, FOLDS)
    )
    assert one["image_id"] == other["image_id"]
    assert one["score"] != other["score"]
    again = judge(manifest(rows()), vectors(features), 3, folds=few).testimony
    assert again == one


def test_a_class_with_a_single_image(features: np.ndarray) -> None:
    labels = [{"label": 2 if n == 0 else n % 2} for n in range(NUM)]
    found = judge(manifest(labels), vectors(features), 3, folds=FOLDS)
    assert len(found.testimony) == NUM
