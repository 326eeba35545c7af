import numpy as np
import pyarrow as pa
import pytest

from gist_ray.matching.inputs import MatchingInputs
from gist_ray.matching.statistics import match_statistics
from gist_ray.schema import MATCHES, table


def unit(rows: list[list[float]]) -> np.ndarray:
    features = np.array(rows, np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def inputs(
    images: np.ndarray, labels: list[int], texts: np.ndarray, text_labels: list[int]
) -> MatchingInputs:
    return MatchingInputs(
        pa.array([f"i{number}" for number in range(len(images))]),
        np.array(labels),
        # a block per image, not in their order
        lambda _: ((np.array([at]), images[[at]]) for at in reversed(range(len(images)))),
        pa.array([f"t{number}" for number in range(len(texts))]),
        texts,
        np.array(text_labels),
        {label: f"class {label}" for label in {*labels, *text_labels}},
    )


def matched(*rows: tuple[str, int, str]) -> pa.Table:
    return table(
        [
            {"image_id": image, "rank": rank, "text_id": text, "similarity": 0.5}
            for image, rank, text in rows
        ],
        MATCHES,
    )


# class 0 looks along x, class 1 along y; t2 is of class 0 and describes class 1
FEATURES = unit([[1, 0, 0], [1, 0.1, 0], [1, 0, 0.1], [0, 1, 0]])
WORLD = inputs(
    FEATURES, [0, 0, 0, 1], unit([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]]), [0, 0, 0, 1]
)
USED = matched(("i0", 0, "t0"), ("i0", 1, "t1"), ("i1", 0, "t0"), ("i2", 0, "t1"), ("i3", 0, "t3"))


def test_use_of_texts() -> None:
    texts = match_statistics(WORLD, USED).texts
    assert texts.column("num_best").to_pylist() == [2, 1, 0, 1]
    assert texts.column("num_used").to_pylist() == [2, 2, 0, 1]
    assert texts.column("class_name").to_pylist() == ["class 0"] * 3 + ["class 1"]


def test_a_text_that_fits_another_class_better_is_flagged() -> None:
    texts = match_statistics(WORLD, USED).texts
    assert texts.column("label_preserving").to_pylist() == [True, True, False, True]
    flagged = texts.slice(2, 1).to_pylist()[0]
    members = FEATURES[:3] @ WORLD.text_features[2]
    assert flagged["own_similarity"] == pytest.approx(members.mean(), abs=1e-6)
    assert flagged["other_similarity"] == pytest.approx(1.0)
    assert (flagged["other_label"], flagged["other_class_name"]) == (1, "class 1")


def test_effective_number_and_share_of_the_commonest_text() -> None:
    first, second = match_statistics(WORLD, USED).classes.to_pylist()
    entropy = -(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert first["effective_num_texts"] == pytest.approx(np.exp(entropy))
    assert first["top_text_share"] == pytest.approx(2 / 3)
    assert (first["num_images"], first["num_texts"], first["num_texts_used"]) == (3, 3, 2)
    assert first["num_not_label_preserving"] == 1
    assert second["effective_num_texts"] == pytest.approx(1.0)


def test_margin_is_own_best_less_best_of_another_class() -> None:
    images = match_statistics(WORLD, USED).images
    similarity = FEATURES @ WORLD.text_features.T
    np.testing.assert_allclose(
        images.column("margin").to_numpy(),
        np.append(similarity[:3, :3].max(1) - similarity[:3, 3], similarity[3, 3] - 1),
        atol=1e-6,
    )
    last = images.to_pylist()[3]
    assert (last["own_text_id"], last["other_text_id"], last["other_class_name"]) == (
        "t3",
        "t2",
        "class 0",
    )
    assert last["margin"] < 0


def test_summary_adds_up() -> None:
    found = match_statistics(WORLD, USED)
    assert found.summary["num_texts_used"] == 3
    assert found.summary["num_not_label_preserving"] == 1
    assert found.summary["share_positive_margin"] == 0.75
    assert found.summary["mean_similarity"] == 0.5
    assert found.summary["num_images_without_match"] == 0


def test_one_class_alone_has_no_margin() -> None:
    world = inputs(unit([[1, 0]]), [4], unit([[1, 0], [0, 1]]), [4, 4])
    found = match_statistics(world, matched(("i0", 0, "t1")))
    assert found.texts.column("label_preserving").to_pylist() == [True, True]
    assert found.images.column("margin").to_pylist() == [None]
    assert found.images.column("other_text_id").to_pylist() == [None]
    assert found.classes.column("mean_margin").to_pylist() == [None]
    assert found.summary["mean_margin"] is None


def test_images_without_match_and_classes_without_images() -> None:
    world = inputs(unit([[1, 0], [0, 1]]), [0, 0], unit([[1, 0], [0, 1]]), [0, 9])
    found = match_statistics(world, matched(("i0", 0, "t0")))
    assert found.classes.column("label").to_pylist() == [0]
    assert found.summary["num_images_without_match"] == 1
    # nothing speaks against a text whose class has no training image
    assert found.texts.slice(1, 1).to_pylist()[0]["label_preserving"] is True
    none = match_statistics(world, MATCHES.empty_table())
    assert none.classes.column("effective_num_texts").to_pylist() == [None]
