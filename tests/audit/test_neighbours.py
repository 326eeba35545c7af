import numpy as np
import pytest

from gist_ray.audit import neighbours
from gist_ray.audit.neighbours import near_pairs
from tests.audit.drawn import vectors


def drawn(num_rows: int) -> np.ndarray:
    """Directions of which the last tenth are near copies of the first."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(num_rows, 32))
    copies = num_rows // 10
    features[-copies:] = features[:copies] + 0.1 * rng.normal(size=(copies, 32))
    return features


def test_pairs_are_found_once_and_the_most_similar_first() -> None:
    features = np.array([[1, 0.0], [0, 1], [1, 0.1], [1, 0.05], [-1, 0]])
    found = near_pairs(vectors(features), num_neighbours=2, min_similarity=0.9)
    pairs = list(zip(found.one.tolist(), found.other.tolist(), strict=True))
    assert sorted(pairs) == [(0, 2), (0, 3), (2, 3)]
    assert pairs[-1] == (0, 2)
    assert np.all(np.diff(found.similarity) <= 0)
    assert found.similarity[-1] == pytest.approx(1 / np.sqrt(1.01), abs=1e-5)


def test_inverted_lists_find_the_copies_that_comparing_all_finds(monkeypatch) -> None:
    rows = vectors(drawn(4000))
    exact = near_pairs(rows, num_neighbours=3, min_similarity=0.95)
    assert len(exact.one) == 400
    monkeypatch.setattr(neighbours, "MOST_EXACT", 1000)
    listed = near_pairs(rows, num_neighbours=3, min_similarity=0.95)
    assert (listed.one.tolist(), listed.other.tolist()) != ([], [])
    pairs = [set(zip(found.one, found.other, strict=True)) for found in (exact, listed)]
    assert pairs[0] == pairs[1]
