import numpy as np

from gist_ray.methods.base.best_images import best_images
from tests.methods.made import unit

RANDOM = np.random.default_rng(3)
IMAGES = unit(RANDOM.normal(size=(200, 16)))
CONCEPTS = unit(RANDOM.normal(size=(30, 16)))
ANYTHING = -1e9
"""A floor that every image is above."""


def direct_scores() -> np.ndarray:
    cosines = CONCEPTS @ IMAGES.T
    above = cosines - cosines.mean(axis=0)
    scores: np.ndarray = above / np.sqrt(np.square(above).mean())
    return scores


def test_scores_are_cosines_above_the_mean_of_the_image_over_the_concepts() -> None:
    best = best_images(IMAGES, CONCEPTS, k=7, floor=ANYTHING)
    assert np.array_equal(best, np.argsort(-direct_scores(), axis=1)[:, :7])


def test_blocks_find_what_the_whole_finds() -> None:
    whole = best_images(IMAGES, CONCEPTS, k=7, floor=0.5)
    for images_at_once in (1, 13, 64):
        block_bytes = images_at_once * 4 * len(CONCEPTS)
        found = best_images(IMAGES, CONCEPTS, k=7, floor=0.5, block_bytes=block_bytes)
        assert np.array_equal(found, whole)


def test_no_image_at_or_below_the_floor_is_found() -> None:
    scores = direct_scores()
    best = best_images(IMAGES, CONCEPTS, k=20, floor=2.0)
    for row, found in zip(scores, best, strict=True):
        expected = [image for image in np.argsort(-row)[:20] if row[image] > 2.0]
        assert found.tolist() == expected + [-1] * (20 - len(expected))


def test_a_hub_is_not_the_best_image_of_every_concept() -> None:
    """The hub is near to what all texts share, and by plain cosine the best image of each."""
    shared = np.eye(9, dtype=np.float32)[8]
    concepts = unit(np.eye(9)[:8] + 2 * shared)
    images = unit(np.concatenate([np.eye(9)[:8] + 0.3 * shared, [np.eye(9)[8] + 0.01]]))
    hub = 8
    assert set((concepts @ images.T).argmax(axis=1)) == {hub}
    best = best_images(images, concepts, k=1, floor=0.0)
    assert best[:, 0].tolist() == list(range(8))


def test_of_equal_scores_the_lower_index_comes_first() -> None:
    images = np.repeat(IMAGES[:5], 2, axis=0)
    for block_bytes in (4 * len(CONCEPTS), 2**20):
        best = best_images(images, CONCEPTS, k=2, floor=ANYTHING, block_bytes=block_bytes)
        assert np.array_equal(best[:, 1], best[:, 0] + 1)
        assert (best[:, 0] % 2 == 0).all()


def test_of_equal_concepts_no_image_fits_one_more_than_another() -> None:
    one = np.repeat(CONCEPTS[:1], 4, axis=0)
    assert (best_images(IMAGES, one, k=1, floor=0.5) == -1).all()
