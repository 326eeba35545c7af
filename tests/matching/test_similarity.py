import numpy as np
import pytest

from gist_ray.matching import similarity
from gist_ray.matching.similarity import cosine, top_k, unique_rows


def brute_top_k(scores: np.ndarray, k: int) -> np.ndarray:
    return np.array(
        [
            sorted(range(len(row)), key=lambda column: (-row[column], column))[:k]
            for row in scores.tolist()
        ]
    )


@pytest.mark.parametrize("seed", range(20))
def test_top_k_equals_sorting_by_score_then_column(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_columns = int(rng.integers(1, 12))
    # few distinct values, so that nearly every row has ties across the boundary
    scores = rng.integers(0, 3, size=(30, num_columns)).astype(np.float32)
    for k in range(1, num_columns + 3):
        expected = brute_top_k(scores, k)
        np.testing.assert_array_equal(top_k(scores, k), expected)
        np.testing.assert_array_equal(top_k(np.asfortranarray(scores), k), expected)


def test_many_columns_are_sorted_alike() -> None:
    scores = np.random.default_rng(0).integers(0, 9, size=(20, 300)).astype(np.float32)
    for k in (1, similarity.MAX_ROUNDS, similarity.MAX_ROUNDS + 1, 299):
        np.testing.assert_array_equal(top_k(scores, k), brute_top_k(scores, k))


def test_top_k_takes_infinities_and_no_rows() -> None:
    scores = np.array([[-np.inf, 1, -np.inf], [np.inf, np.inf, 0]])
    assert top_k(scores, 2).tolist() == [[1, 0], [0, 1]]
    assert top_k(-scores, 2).tolist() == [[0, 2], [2, 0]]
    assert top_k(np.empty((0, 4)), 2).shape == (0, 2)


def test_unique_rows_do_not_depend_on_the_order_and_take_minus_zero_for_zero() -> None:
    rows = np.array([[1, 0], [0, 1], [1, -0.0], [0, 1]], np.float32)
    distinct, inverse = unique_rows(rows)
    assert len(distinct) == 2
    np.testing.assert_array_equal(distinct[inverse], rows)
    np.testing.assert_array_equal(unique_rows(rows[::-1])[0], distinct)


@pytest.mark.parametrize("num_texts", [2, 7, 16, 33, 65])
def test_equal_texts_have_bit_identical_similarities(num_texts: int) -> None:
    rng = np.random.default_rng(num_texts)
    images = rng.standard_normal((50, 129), dtype=np.float32)
    texts = rng.standard_normal((num_texts, 129), dtype=np.float32)
    repeated = texts[rng.integers(num_texts, size=3 * num_texts)]
    scores = cosine(images, np.arange(50), unique_rows(repeated))
    np.testing.assert_allclose(scores, images @ repeated.T, atol=1e-4)
    for column, text in enumerate(repeated):
        same = (repeated == text).all(axis=1)
        assert (scores[:, same] == scores[:, [column]]).all()


def test_rows_that_follow_each_other_give_what_scattered_ones_give() -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((30, 8), dtype=np.float32)
    texts = unique_rows(rng.standard_normal((5, 8), dtype=np.float32))
    for rows in (np.arange(4, 9), np.array([4, 6, 5, 7, 8]), np.array([8, 4]), np.array([29])):
        scattered = cosine(images[rows], np.arange(len(rows)), texts)
        np.testing.assert_array_equal(cosine(images, rows, texts), scattered)
    assert cosine(images, np.empty(0, int), texts).shape == (0, 5)


def test_pieces_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((23, 8), dtype=np.float32)
    texts = unique_rows(rng.standard_normal((5, 8), dtype=np.float32))
    rows = np.array([3, 1, 22, 7, 7, 0])
    whole = cosine(images, rows, texts)
    monkeypatch.setattr(similarity, "CHUNK_BYTES", 2 * 4 * 8)
    assert [len(piece) for piece in similarity.chunks(rows, 4 * 8)] == [2, 2, 2]
    np.testing.assert_allclose(cosine(images, rows, texts), whole, rtol=1e-6)
