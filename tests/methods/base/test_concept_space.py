from typing import Any

import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.methods.base import concept_space as module
from gist_ray.methods.base.concept_space import VisualConcepts, concept_space, visual_concepts
from gist_ray.methods.base.problem import TextSet
from tests.methods.made import unit

AXES = np.eye(6, dtype=np.float32)


def found(images: np.ndarray, concepts: np.ndarray, **changes: Any) -> VisualConcepts:
    return visual_concepts(
        images, concepts, **({"k": 2, "floor": 0.0, "max_cosine": 0.98} | changes)
    )


def cluttered(num_images: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_images, 6)) * 0.3


def test_a_planted_concept_is_what_its_images_share() -> None:
    """Three of 30 images have two directions, of which the text says one."""
    images = 2 * AXES[5] + cluttered(30)
    images[[4, 11, 25]] += 2 * AXES[0] + 2 * AXES[1]
    images = unit(images)
    texts = unit(AXES[[0, 2, 3, 4]] + AXES[5])
    visual = found(images, texts, k=3)
    [row] = np.flatnonzero(visual.texts == 0)
    shared = unit(images[[4, 11, 25]].mean(axis=0)[None])[0]
    np.testing.assert_allclose(visual.vectors[row], shared, atol=1e-6)
    assert visual.vectors[row] @ AXES[1] > 0.4


def test_with_one_image_it_is_that_image() -> None:
    images = unit(AXES[5] + cluttered(20, seed=1))
    visual = found(images, unit(AXES[:4] + AXES[5]), k=1)
    assert len(visual.texts)
    for vector in visual.vectors:
        assert np.isclose(images, vector, atol=1e-6).all(axis=1).any()


def test_of_orthogonal_images_that_are_the_texts_each_is_its_own() -> None:
    visual = found(AXES, AXES, k=1)
    assert visual.texts.tolist() == list(range(6))
    np.testing.assert_array_equal(visual.vectors, AXES)


@pytest.mark.parametrize("k", [6, 7])
def test_all_images_are_refused(k: int) -> None:
    with pytest.raises(UserError, match=rf"{k} images of a concept are all 6 training images"):
        found(AXES, AXES, k=k)


def test_a_concept_that_is_in_no_image_gets_none() -> None:
    images = unit(AXES[:4] + 0.1 * cluttered(4))
    visual = found(images, AXES, k=1, floor=1.0)
    assert visual.texts.tolist() == [0, 1, 2, 3]
    with pytest.raises(UserError, match=r"none of 6 distinct concepts .* floor=9\.0"):
        found(images, AXES, k=1, floor=9.0)


def test_another_order_of_the_images_changes_nothing() -> None:
    images = unit(cluttered(40, seed=2))
    order = np.random.default_rng(5).permutation(40)
    one, other = found(images, AXES, k=4), found(images[order], AXES, k=4)
    assert np.array_equal(one.texts, other.texts)
    np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)


def test_another_order_of_the_concepts_orders_them_alike() -> None:
    images, order = unit(cluttered(40, seed=2)), np.array([3, 0, 5, 1, 4, 2])
    one, other = found(images, AXES, k=4), found(images, AXES[order], k=4)
    assert set(order[other.texts]) == set(one.texts)
    by_text = dict(zip(one.texts, one.vectors, strict=True))
    for text, vector in zip(order[other.texts], other.vectors, strict=True):
        np.testing.assert_allclose(vector, by_text[text], atol=1e-6)


def test_a_concept_said_twice_changes_nothing() -> None:
    images = unit(cluttered(40, seed=2))
    one, other = found(images, AXES), found(images, np.concatenate([AXES, AXES[2:3]]))
    assert np.array_equal(one.texts, other.texts)
    np.testing.assert_array_equal(one.vectors, other.vectors)


def test_concepts_of_the_same_images_are_one() -> None:
    images = AXES[:4]
    texts = unit(np.stack([AXES[0], AXES[0] + 0.4 * AXES[5], AXES[1], AXES[2]]))
    assert found(images, texts, k=1).texts.tolist() == [0, 2, 3]
    # all images being near to each other makes no concept the same
    near = unit(AXES[:4] + 20 * AXES[5])
    assert (near @ near.T > 0.98).all()
    assert len(found(near, AXES[:4], k=1).texts) == 4


def test_representations_are_standardised_on_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = unit(AXES[5] + cluttered(50, seed=4))
    texts = TextSet([f"concept {number}" for number in range(4)], AXES[:4], np.full(4, -1))
    visual = found(images, texts.features)
    whole = concept_space(images, texts, visual, beta=5.0)
    rows = whole.representation(images).astype(np.float64)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    assert np.square(rows).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)
    assert whole.concepts == [texts.texts[text] for text in visual.texts]
    monkeypatch.setattr(module, "BLOCK_BYTES", 7 * 8 * len(visual.texts))
    in_blocks = concept_space(images, texts, visual, beta=5.0)
    assert [one.stop - one.start for one in in_blocks.blocks(50)] == [7] * 7 + [1]
    np.testing.assert_allclose(in_blocks.means, whole.means, rtol=1e-5)
    np.testing.assert_allclose(in_blocks.factors, whole.factors, rtol=1e-4)


def test_a_concept_that_every_image_shows_alike_counts_nothing() -> None:
    images = unit(np.concatenate([cluttered(20)[:, :5], np.zeros((20, 1))], axis=1))
    texts = TextSet(["a", "same"], AXES[[0, 5]], np.full(2, -1))
    visual = VisualConcepts(np.array([0, 1]), AXES[[1, 2]])
    rows = concept_space(images, texts, visual, beta=5.0).representation(images)
    assert np.isfinite(rows).all()
    assert (rows[:, 3] == 0).all()
