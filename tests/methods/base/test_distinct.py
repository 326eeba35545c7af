import numpy as np

from gist_ray.methods.base.distinct import BLOCK_ROWS, distinct
from tests.methods.made import unit


def test_of_nearly_equal_vectors_the_first_is_kept() -> None:
    near = unit(np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1], [1, 1]], float))
    assert distinct(near, 0.98).tolist() == [0, 2, 4]
    assert distinct(near, 1.0).tolist() == [0, 1, 2, 3, 4]


def test_a_vector_near_a_dropped_one_alone_is_kept() -> None:
    angles = np.array([0.0, 0.15, 0.3])
    fan = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert distinct(fan, float(np.cos(0.2))).tolist() == [0, 2]


def test_blocks_find_what_one_loop_finds() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(2 * BLOCK_ROWS + 50, 4)))
    kept: list[int] = []
    for row, vector in enumerate(vectors):
        if not kept or (vectors[kept] @ vector).max() <= 0.9:
            kept.append(row)
    assert distinct(vectors, 0.9).tolist() == kept
