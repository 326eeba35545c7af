import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.matching.imported import match_imported
from gist_ray.matching.inputs import MatchingInputs
from gist_ray.schema import MATCHES, table

IMAGES = np.eye(3, dtype=np.float32)
TEXTS = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0.6, 0.8]], np.float32)
INPUTS = MatchingInputs(
    pa.array(["i0", "i1", "i2"]),
    np.array([0, 0, 1]),
    # two blocks
    lambda _: iter([(np.array([0, 2]), IMAGES[[0, 2]]), (np.array([1]), IMAGES[[1]])]),
    pa.array(["t0", "t1", "t2", "t3"]),
    TEXTS,
    np.array([0, 0, 0, 1]),
    {0: "wren", 1: "robin"},
)


def pairs(*rows: tuple[str, int, str]) -> pa.Table:
    names = ("image_id", "rank", "text_id")
    return table(
        [dict(zip(names, row, strict=True)) | {"similarity": float("nan")} for row in rows], MATCHES
    )


def ranked(matches: pa.Table) -> list[tuple[str, int, str]]:
    return [(row["image_id"], row["rank"], row["text_id"]) for row in matches.to_pylist()]


def test_the_file_decides_whatever_is_more_similar() -> None:
    given = pairs(("i2", 0, "t3"), ("i0", 0, "t1"), ("i0", 1, "t0"), ("i1", 0, "t0"))
    matches = match_imported(INPUTS, given, k=2)
    assert matches.schema == MATCHES
    assert ranked(matches) == [
        ("i0", 0, "t1"), ("i0", 1, "t0"), ("i1", 0, "t0"), ("i2", 0, "t3"),
    ]  # fmt: skip
    np.testing.assert_allclose(matches.column("similarity").to_numpy(), [0, 1, 0, 0.8], atol=1e-6)


def test_the_first_k_captions_are_kept() -> None:
    given = pairs(("i0", 2, "t0"), ("i0", 0, "t1"), ("i0", 1, "t2"), ("i1", 0, "t0"))
    assert ranked(match_imported(INPUTS, given, k=2)) == [
        ("i0", 0, "t1"), ("i0", 1, "t2"), ("i1", 0, "t0"),
    ]  # fmt: skip


def test_rejected_texts_and_images_of_other_splits_leave_no_gap_in_the_ranks() -> None:
    given = pairs(("i0", 0, "rejected"), ("i0", 1, "t0"), ("of test", 0, "t0"), ("i1", 5, "t1"))
    assert ranked(match_imported(INPUTS, given, k=1)) == [("i0", 0, "t0"), ("i1", 0, "t1")]


def test_no_pair_left_is_an_error() -> None:
    with pytest.raises(UserError, match="no training image has a caption that is left"):
        match_imported(INPUTS, pairs(("of test", 0, "t0"), ("i0", 0, "rejected")), k=1)
