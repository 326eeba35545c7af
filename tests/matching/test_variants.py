import numpy as np
import pytest

from gist_ray.errors import UserError
from gist_ray.matching.balanced import match_balanced, text_potentials
from gist_ray.matching.controls import match_all, match_any_class, match_random
from gist_ray.matching.mmr import match_mmr
from gist_ray.matching.sampled import match_sampled
from gist_ray.matching.topk import match_topk


def unit(rng: np.random.Generator, num: int, dim: int = 8) -> np.ndarray:
    vectors = rng.standard_normal((num, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def world(num_images: int = 30, num_texts: int = 12) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(3)
    labels, text_labels = np.arange(num_images) % 2, np.arange(num_texts) % 2
    return unit(rng, num_images), labels, unit(rng, num_texts), text_labels


IDS = [f"image{number}" for number in range(30)]


@pytest.mark.parametrize("variant", ["sampled", "random"])
def test_drawn_texts_are_distinct_own_and_bound_to_the_image(variant: str) -> None:
    images, labels, texts, text_labels = world()
    draw = {
        "sampled": lambda x, y, ids, seed: match_sampled(
            x, y, texts, text_labels, 3, 0.5, ids, seed
        ),
        "random": lambda x, y, ids, seed: match_random(x, y, texts, text_labels, 3, ids, seed),
    }[variant]
    first = draw(images, labels, IDS, 1)
    for label, row, similarity, image in zip(
        labels, first.text_index, first.similarity, images, strict=True
    ):
        assert len(set(row)) == 3
        assert (text_labels[row] == label).all()
        np.testing.assert_allclose(similarity, texts[row] @ image, atol=1e-6)
    order = np.random.default_rng(0).permutation(30)
    moved = draw(images[order], labels[order], [IDS[index] for index in order], 1)
    np.testing.assert_array_equal(moved.text_index, first.text_index[order])
    assert (draw(images, labels, IDS, 2).text_index != first.text_index).any()


def test_sampling_follows_the_softmax_and_small_temperature_is_topk() -> None:
    images, labels, texts, text_labels = world()
    cold = match_sampled(images, labels, texts, text_labels, 3, 1e-6, IDS, 0)
    best = match_topk(images, labels, texts, text_labels, 3)
    np.testing.assert_array_equal(cold.text_index, best.text_index)

    num_draws = 4000
    same_image = np.repeat(images[:1], num_draws, axis=0)
    ids = [str(number) for number in range(num_draws)]
    zeros, few = np.zeros(num_draws, int), texts[:3]
    drawn = match_sampled(same_image, zeros, few, np.zeros(3, int), 1, 0.5, ids, 0)
    weights = np.exp(few @ images[0] / 0.5)
    shares = np.bincount(drawn.text_index[:, 0], minlength=3) / num_draws
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_random_texts_are_uniform() -> None:
    images, _, texts, _ = world()
    same_image = np.repeat(images[:1], 3000, axis=0)
    ids = [str(number) for number in range(3000)]
    drawn = match_random(same_image, np.zeros(3000, int), texts[:4], np.zeros(4, int), 2, ids, 0)
    np.testing.assert_allclose(np.bincount(drawn.text_index.ravel()) / 3000, 0.5, atol=0.04)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.8, 1.0])
def test_mmr_equals_the_greedy_definition(diversity: float) -> None:
    images, labels, texts, text_labels = world()
    matches = match_mmr(images, labels, texts, text_labels, 4, diversity)
    for image, label, row in zip(images.astype(float), labels, matches.text_index, strict=True):
        own = np.flatnonzero(text_labels == label).tolist()
        chosen = [max(own, key=lambda text: image @ texts[text])]
        while len(chosen) < 4:
            chosen.append(
                max(
                    (text for text in own if text not in chosen),
                    key=lambda text: (
                        (1 - diversity) * (image @ texts[text])
                        - diversity * max(texts[text].astype(float) @ texts[c] for c in chosen)
                    ),
                )
            )
        assert row.tolist() == chosen


def test_mmr_without_diversity_is_topk_and_avoids_duplicates_with_it() -> None:
    images, labels, texts, text_labels = world()
    plain = match_mmr(images, labels, texts, text_labels, 9, 0.0)
    best = match_topk(images, labels, texts, text_labels, 9)
    np.testing.assert_array_equal(plain.text_index, best.text_index)

    image = np.array([[1, 0, 0]], np.float32)
    doubled = np.array([[0.96, 0.28, 0], [0.96, 0.28, 0], [0.6, 0, 0.8]], np.float32)
    one_class = np.zeros(3, int)
    assert match_topk(image, one_class[:1], doubled, one_class, 2).text_index.tolist() == [[0, 1]]
    diverse = match_mmr(image, one_class[:1], doubled, one_class, 2, 0.5)
    assert diverse.text_index.tolist() == [[0, 2]]


def test_balanced_keeps_one_text_from_taking_a_class() -> None:
    rng = np.random.default_rng(0)
    texts = unit(rng, 4)
    # every image is near text 0 and leans a little towards one of the four
    images = 3 * texts[0] + texts[np.arange(80) % 4] + 0.1 * unit(rng, 80)
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    labels, text_labels = np.zeros(80, int), np.zeros(4, int)
    greedy = match_topk(images, labels, texts, text_labels, 1).text_index[:, 0]
    assert (greedy == 0).all()
    shared = match_balanced(images, labels, texts, text_labels, 1, 0.02, 200).text_index[:, 0]
    assert np.bincount(shared, minlength=4).tolist() == [20, 20, 20, 20]
    assert (shared == np.arange(80) % 4).mean() > 0.95


def test_sinkhorn_reaches_the_marginals() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 5)) * 10
    plan = logits + text_potentials(logits, 500)
    plan = np.exp(plan - np.logaddexp.reduce(plan, axis=1, keepdims=True))
    np.testing.assert_allclose(plan.sum(axis=0), 6, rtol=1e-3)


def test_balanced_keeps_labels_ties_and_large_epsilon_sane() -> None:
    images, labels, texts, text_labels = world()
    matches = match_balanced(images, labels, texts, text_labels, 3, 1e-4, 50)
    assert (text_labels[matches.text_index] == labels[:, None]).all()
    assert np.isfinite(matches.similarity).all()
    doubled = np.vstack([texts[:1], texts[:1]])
    tied = match_balanced(images, np.zeros(30, int), doubled, np.zeros(2, int), 2, 0.02, 50)
    assert (tied.text_index == [0, 1]).all()


def test_all_gives_every_text_of_the_class_best_first() -> None:
    images, labels, texts, _ = world()
    text_labels = np.array([0] * 9 + [1] * 3)
    matches = match_all(images, labels, texts, text_labels)
    for label, row, similarity in zip(labels, matches.text_index, matches.similarity, strict=True):
        kept = row[row >= 0]
        assert sorted(kept) == np.flatnonzero(text_labels == label).tolist()
        assert (np.diff(similarity[: len(kept)]) <= 0).all()


def test_any_class_is_the_best_of_everything() -> None:
    images, _, texts, _ = world()
    matches = match_any_class(images, texts, 3)
    np.testing.assert_array_equal(
        matches.text_index, np.argsort(-(images @ texts.T), axis=1, kind="stable")[:, :3]
    )


def test_every_variant_names_classes_without_texts() -> None:
    features = np.eye(2, dtype=np.float32)
    labels, text_labels = np.array([0, 5]), np.array([0, 0])
    arrays = (features, labels, features, text_labels)
    for call in (
        lambda: match_sampled(*arrays, 1, 0.1, ["a", "b"], 0),
        lambda: match_random(*arrays, 1, ["a", "b"], 0),
        lambda: match_mmr(*arrays, 1, 0.3),
        lambda: match_balanced(*arrays, 1, 0.1, 5),
        lambda: match_all(*arrays),
    ):
        with pytest.raises(UserError, match=r"labels \[5\]"):
            call()
