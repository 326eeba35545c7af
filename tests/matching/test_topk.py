import tracemalloc

import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.matching import similarity
from gist_ray.matching.groups import LabelledFeatures
from gist_ray.matching.topk import match_topk


def unit(rng: np.random.Generator, num: int, dim: int = 12) -> np.ndarray:
    vectors = rng.standard_normal((num, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def small_world(seed: int) -> tuple[LabelledFeatures, LabelledFeatures]:
    """Returns images and texts (with duplicates); classes have 1 to 8 texts."""
    rng = np.random.default_rng(seed)
    num_classes = int(rng.integers(1, 5))
    text_labels = np.repeat(np.arange(num_classes), rng.integers(1, 9, size=num_classes))
    rng.shuffle(text_labels)
    texts = unit(rng, 6)[rng.integers(6, size=len(text_labels))]
    images = LabelledFeatures(unit(rng, 40), rng.integers(num_classes, size=40))
    return images, LabelledFeatures(texts, text_labels)


def reordered(rows: LabelledFeatures, order: np.ndarray) -> LabelledFeatures:
    return LabelledFeatures(rows.features[order], rows.labels[order])


@pytest.mark.parametrize("seed", range(20))
def test_equals_brute_force_with_ties_in_text_order(seed: int) -> None:
    images, texts = small_world(seed)
    matches = match_topk(images, texts, k=3)
    for image, label, found, similarities in zip(
        images.features.astype(float),
        images.labels,
        matches.text_index,
        matches.similarity,
        strict=True,
    ):
        own = np.flatnonzero(texts.labels == label)
        exact = texts.features @ image
        # rounding well above float error: only duplicates tie in this world
        ranked = sorted(own, key=lambda text: (-round(float(exact[text]), 5), text))[:3]
        assert found.tolist() == ranked + [-1] * (3 - len(ranked))
        np.testing.assert_allclose(similarities[: len(ranked)], exact[ranked], atol=1e-6)
        assert np.isnan(similarities[len(ranked) :]).all()
    assert matches.text_index.dtype == np.int32
    assert matches.similarity.dtype == np.float32


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_images_does_not_matter(seed: int) -> None:
    images, texts = small_world(seed)
    order = np.random.default_rng(seed).permutation(len(images.labels))
    straight = match_topk(images, texts, k=2)
    shuffled = match_topk(reordered(images, order), texts, k=2)
    np.testing.assert_array_equal(shuffled.text_index, straight.text_index[order])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_texts_matters_only_for_ties(seed: int) -> None:
    images, texts = small_world(seed)
    order = np.random.default_rng(seed).permutation(len(texts.labels))
    straight = match_topk(images, texts, k=3)
    shuffled = match_topk(images, reordered(texts, order), k=3)
    np.testing.assert_array_equal(shuffled.similarity, straight.similarity)


def test_a_better_text_of_another_class_is_not_taken() -> None:
    images = LabelledFeatures(np.array([[1, 0]], np.float32), np.array([1]))
    texts = LabelledFeatures(np.array([[1, 0], [0, 1]], np.float32), np.array([0, 1]))
    matches = match_topk(images, texts, k=5)
    assert matches.text_index.tolist() == [[1, -1, -1, -1, -1]]
    assert matches.similarity[0, 0] == 0


def test_classes_without_texts_are_all_listed() -> None:
    features = np.eye(4, dtype=np.float32)
    images = LabelledFeatures(features, np.array([7, 0, 3, 7]))
    with pytest.raises(UserError, match=r"2 classes have images and no text: labels \[3, 7\]"):
        match_topk(images, LabelledFeatures(features[:1], np.array([0])), k=1)


def test_no_image_gives_no_match() -> None:
    none = LabelledFeatures(np.empty((0, 4), np.float32), np.empty(0, int))
    matches = match_topk(none, LabelledFeatures(np.eye(4, dtype=np.float32), np.arange(4)), k=2)
    assert matches.text_index.shape == (0, 2)


def test_memory_stays_bounded_within_one_large_class(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = LabelledFeatures(unit(rng, 20_000, 32), np.zeros(20_000, int))
    texts = LabelledFeatures(unit(rng, 50, 32), np.zeros(50, int))
    whole = match_topk(images, texts, k=3)
    monkeypatch.setattr(similarity, "CHUNK_BYTES", 2**20)
    tracemalloc.start()
    pieces = match_topk(images, texts, k=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(pieces.text_index, whole.text_index)
    # the similarities alone would be 4 MB, and sorting them several times that
    assert peak < 3 * 2**20
