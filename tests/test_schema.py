import pyarrow as pa
import pytest

from gist_ray import schema

SPLITS = ["test/night", "train", "test", "val", "unlabeled", "test/by-day_2.0", "test"]


def test_test_sets_come_with_the_plain_one_first() -> None:
    manifest = pa.table({"split": SPLITS})
    assert schema.test_sets(manifest) == ["test", "test/by-day_2.0", "test/night"]
    assert schema.test_sets(manifest.slice(1, 1)) == []


@pytest.mark.parametrize(
    "split", ["", "tests", "test/", "test/a/b", "test/../a", "xtest", "test/a\n"]
)
def test_what_no_test_set_is_called(split: str) -> None:
    assert schema.is_test(pa.chunked_array([[split, "test"]])).to_pylist() == [False, True]
