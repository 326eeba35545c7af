from functools import partial

import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.matching.balanced import match_balanced, text_potentials
from gist_ray.matching.controls import match_all, match_any_class, match_random
from gist_ray.matching.groups import LabelledFeatures
from gist_ray.matching.mmr import match_mmr
from gist_ray.matching.sampled import match_sampled
from gist_ray.matching.topk import match_topk


def unit(rng: np.random.Generator, num: int, dim: int = 8) -> np.ndarray:
    vectors = rng.standard_normal((num, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def world(num_images: int = 30, num_texts: int = 12) -> tuple[LabelledFeatures, LabelledFeatures]:
    rng = np.random.default_rng(3)
    images = LabelledFeatures(unit(rng, num_images), np.arange(num_images) % 2)
    return images, LabelledFeatures(unit(rng, num_texts), np.arange(num_texts) % 2)


def one_class(features: np.ndarray) -> LabelledFeatures:
    return LabelledFeatures(features, np.zeros(len(features), int))


IDS = [f"image{number}" for number in range(30)]


@pytest.mark.parametrize("variant", ["sampled", "random"])
def test_drawn_texts_are_distinct_own_and_bound_to_the_image(variant: str) -> None:
    images, texts = world()
    draw = {
        "sampled": partial(match_sampled, texts=texts, k=3, temperature=0.5),
        "random": partial(match_random, texts=texts, k=3),
    }[variant]
    first = draw(images, image_ids=IDS, seed=1)
    for label, row, similarity, image in zip(
        images.labels, first.text_index, first.similarity, images.features, strict=True
    ):
        assert len(set(row)) == 3
        assert (texts.labels[row] == label).all()
        np.testing.assert_allclose(similarity, texts.features[row] @ image, atol=1e-6)
    order = np.random.default_rng(0).permutation(30)
    reordered = LabelledFeatures(images.features[order], images.labels[order])
    moved = draw(reordered, image_ids=[IDS[index] for index in order], seed=1)
    np.testing.assert_array_equal(moved.text_index, first.text_index[order])
    assert (draw(images, image_ids=IDS, seed=2).text_index != first.text_index).any()


def test_sampling_follows_the_softmax_and_small_temperature_is_topk() -> None:
    images, texts = world()
    cold = match_sampled(images, texts, 3, temperature=1e-6, image_ids=IDS, seed=0)
    best = match_topk(images, texts, 3)
    np.testing.assert_array_equal(cold.text_index, best.text_index)

    num_draws = 4000
    same_image = one_class(np.repeat(images.features[:1], num_draws, axis=0))
    ids = [str(number) for number in range(num_draws)]
    few = one_class(texts.features[:3])
    drawn = match_sampled(same_image, few, 1, temperature=0.5, image_ids=ids, seed=0)
    weights = np.exp(few.features @ images.features[0] / 0.5)
    shares = np.bincount(drawn.text_index[:, 0], minlength=3) / num_draws
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_random_texts_are_uniform() -> None:
    images, texts = world()
    same_image = one_class(np.repeat(images.features[:1], 3000, axis=0))
    ids = [str(number) for number in range(3000)]
    drawn = match_random(same_image, one_class(texts.features[:4]), 2, image_ids=ids, seed=0)
    np.testing.assert_allclose(np.bincount(drawn.text_index.ravel()) / 3000, 0.5, atol=0.04)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
def test_mmr_equals_the_greedy_definition(diversity: float) -> None:
    images, texts = world()
    matches = match_mmr(images, texts, 4, diversity=diversity)
    vectors = texts.features.astype(float)
    for image, label, row in zip(
        images.features.astype(float), images.labels, matches.text_index, strict=True
    ):
        own = np.flatnonzero(texts.labels == label).tolist()
        chosen = [max(own, key=lambda text: image @ vectors[text])]
        while len(chosen) < 4:
            chosen.append(
                max(
                    (text for text in own if text not in chosen),
                    key=lambda text: (
                        (1 - diversity) * (image @ vectors[text])
                        - diversity * max(vectors[text] @ vectors[c] for c in chosen)
                    ),
                )
            )
        assert row.tolist() == chosen


def test_mmr_without_diversity_is_topk_and_avoids_duplicates_with_it() -> None:
    images, texts = world()
    plain = match_mmr(images, texts, 9, diversity=0.0)
    best = match_topk(images, texts, 9)
    np.testing.assert_array_equal(plain.text_index, best.text_index)

    image = one_class(np.array([[1, 0, 0]], np.float32))
    doubled = one_class(np.array([[0.96, 0.28, 0], [0.96, 0.28, 0], [0.6, 0, 0.8]], np.float32))
    assert match_topk(image, doubled, 2).text_index.tolist() == [[0, 1]]
    diverse = match_mmr(image, doubled, 2, diversity=0.5)
    assert diverse.text_index.tolist() == [[0, 2]]


def test_balanced_keeps_one_text_from_taking_a_class() -> None:
    rng = np.random.default_rng(0)
    texts = unit(rng, 4)
    # every image is near text 0 and leans a little towards one of the four
    images = 3 * texts[0] + texts[np.arange(80) % 4] + 0.1 * unit(rng, 80)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    greedy = match_topk(one_class(images), one_class(texts), 1).text_index[:, 0]
    assert (greedy == 0).all()
    balanced = match_balanced(
        one_class(images), one_class(texts), 1, epsilon=0.02, num_iterations=200
    )
    shared = balanced.text_index[:, 0]
    assert np.bincount(shared, minlength=4).tolist() == [20, 20, 20, 20]
    assert (shared == np.arange(80) % 4).mean() > 0.95


def test_sinkhorn_reaches_the_marginals() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 5)) * 10
    plan = logits + text_potentials(logits, 500)
    plan = np.exp(plan - np.logaddexp.reduce(plan, axis=1, keepdims=True))
    np.testing.assert_allclose(plan.sum(axis=0), 6, rtol=1e-3)


def test_balanced_keeps_labels_ties_and_large_epsilon_sane() -> None:
    images, texts = world()
    matches = match_balanced(images, texts, 3, epsilon=1e-4, num_iterations=50)
    assert (texts.labels[matches.text_index] == images.labels[:, None]).all()
    assert np.isfinite(matches.similarity).all()
    doubled = one_class(np.vstack([texts.features[:1], texts.features[:1]]))
    tied = match_balanced(one_class(images.features), doubled, 2, epsilon=0.02, num_iterations=50)
    assert (tied.text_index == [0, 1]).all()


def test_all_gives_every_text_of_the_class_best_first() -> None:
    images, texts = world()
    texts = LabelledFeatures(texts.features, np.array([0] * 9 + [1] * 3))
    matches = match_all(images, texts)
    for label, row, similarity in zip(
        images.labels, matches.text_index, matches.similarity, strict=True
    ):
        kept = row[row >= 0]
        assert sorted(kept) == np.flatnonzero(texts.labels == label).tolist()
        assert (np.diff(similarity[: len(kept)]) <= 0).all()


def test_any_class_is_the_best_of_everything() -> None:
    images, texts = (rows.features for rows in world())
    matches = match_any_class(images, texts, 3)
    np.testing.assert_array_equal(
        matches.text_index, np.argsort(-(images @ texts.T), axis=1, kind="stable")[:, :3]
    )


def test_every_variant_names_classes_without_texts() -> None:
    features = np.eye(2, dtype=np.float32)
    images, texts = LabelledFeatures(features, np.array([0, 5])), one_class(features)
    ids = ["a", "b"]
    for call in (
        lambda: match_sampled(images, texts, 1, temperature=0.1, image_ids=ids, seed=0),
        lambda: match_random(images, texts, 1, image_ids=ids, seed=0),
        lambda: match_mmr(images, texts, 1, diversity=0.3),
        lambda: match_balanced(images, texts, 1, epsilon=0.1, num_iterations=5),
        lambda: match_all(images, texts),
    ):
        with pytest.raises(UserError, match=r"labels \[5\]"):
            call()
