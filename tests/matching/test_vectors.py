from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.matching.vectors import find_places, find_vectors, read_blocks, stored_vectors
from gist_ray.schema import embeddings
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore

DIM = 4
# more parts than are read ahead
NUM_PARTS, PER_PART = 12, 3


def vector_of(number: int) -> np.ndarray:
    return np.arange(number, number + DIM, dtype=np.float32)


@pytest.fixture
def stored(tmp_path: Path) -> Artifact:
    writer = ArtifactStore(str(tmp_path)).writer("image_embeddings", "embed images", {}, inputs={})
    numbers = np.random.default_rng(0).permutation(NUM_PARTS * PER_PART)
    for part, rows in enumerate(np.split(numbers, NUM_PARTS)):
        columns = [[f"i{row}" for row in rows], [vector_of(row).tolist() for row in rows]]
        writer.write(pa.table(columns, schema=embeddings("image_id", DIM)), f"{part:02}.parquet")
    return writer.publish(0)


def ids(*numbers: int) -> pa.ChunkedArray:
    return pa.chunked_array([[f"i{number}" for number in numbers]], pa.string())


def test_vectors_come_in_the_order_in_which_they_are_wanted(stored: Artifact) -> None:
    wanted = [7, 99, 0, 35, 7, 12]
    known, matrix = find_vectors(stored_vectors(stored, "image_id"), ids(*wanted))
    assert known.tolist() == [True, False, True, True, True, True]
    np.testing.assert_array_equal(matrix, [vector_of(row) for row in wanted if row != 99])
    assert matrix.dtype == np.float32


def test_all_rows_in_any_order(stored: Artifact) -> None:
    wanted = np.random.default_rng(1).permutation(NUM_PARTS * PER_PART)
    known, matrix = find_vectors(stored_vectors(stored, "image_id"), ids(*wanted))
    assert known.all()
    np.testing.assert_array_equal(matrix, [vector_of(row) for row in wanted])


def test_nothing_found_still_knows_the_length_of_a_vector(stored: Artifact) -> None:
    known, matrix = find_vectors(stored_vectors(stored, "image_id"), ids(99))
    assert known.tolist() == [False]
    assert matrix.shape == (0, DIM)


def test_only_parts_with_wanted_rows_are_read(stored: Artifact) -> None:
    vectors = stored_vectors(stored, "image_id")
    for part in sorted(Path(stored.uri).glob("*.parquet"))[1:]:
        part.unlink()
    first = vectors.ids[:PER_PART].to_pylist()
    assert find_vectors(vectors, pa.chunked_array([first]))[1].shape == (PER_PART, DIM)
    with pytest.raises(UserError, match=r"11\.parquet: this part of an artifact"):
        find_vectors(vectors, pa.chunked_array([vectors.ids[-1:]]))


def test_a_part_without_vectors_is_damaged(stored: Artifact) -> None:
    part = storage.join(stored.uri, stored.info["parts"][0]["file"])
    storage.write_parquet(part, storage.read_parquet(part, ["image_id"]))
    with pytest.raises(UserError, match=r"00\.parquet: this part of an artifact is damaged"):
        _ = stored_vectors(stored, "image_id").dim


@pytest.mark.parametrize(
    ("parts_each", "num_blocks"), [(0, NUM_PARTS), (1, NUM_PARTS), (2.9, 6), (5, 3), (np.inf, 1)]
)
def test_blocks_are_whole_parts_and_hold_every_row_once(
    stored: Artifact, parts_each: float, num_blocks: int
) -> None:
    wanted = np.random.default_rng(1).permutation(NUM_PARTS * PER_PART)
    vectors = stored_vectors(stored, "image_id")
    _, places = find_places(vectors, ids(*wanted))
    blocks = list(read_blocks(vectors, places, parts_each * PER_PART * DIM * 4))
    assert len(blocks) == num_blocks
    assert sorted(np.concatenate([rows for rows, _ in blocks])) == list(range(len(wanted)))
    for rows, features in blocks:
        assert (np.diff(rows) > 0).all()
        np.testing.assert_array_equal(features, [vector_of(wanted[row]) for row in rows])


def test_parts_without_wanted_rows_are_in_no_block(stored: Artifact) -> None:
    vectors = stored_vectors(stored, "image_id")
    for part in sorted(Path(stored.uri).glob("*.parquet"))[1:-1]:
        part.unlink()
    ends = [*vectors.ids[:PER_PART].to_pylist(), vectors.ids[-1].as_py()]
    _, places = find_places(vectors, pa.chunked_array([ends]))
    assert [len(rows) for rows, _ in read_blocks(vectors, places, 0)] == [PER_PART, 1]
