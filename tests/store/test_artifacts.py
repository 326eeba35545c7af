from pathlib import Path

import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.schema import ERRORS, table
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, fingerprint, table_content

ROWS = pa.table({"n": list(range(1000))})
ERROR = {"id": "a", "uri": "", "stage": "embed", "kind": "corrupt", "message": "cut short"}


def published(store: ArtifactStore) -> Artifact:
    writer = store.writer("numbers", "count", {"to": 1000}, inputs={})
    writer.write(ROWS)
    writer.add_errors(table([ERROR], ERRORS))
    return writer.publish(1.5)


def test_an_artifact_exists_once_it_is_published(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path))
    writer = store.writer("numbers", "count", {"to": 1000}, inputs={})
    key = fingerprint("numbers", {"to": 1000}, {})
    writer.write(ROWS)
    assert store.find("numbers", key) is None
    writer.publish(1.5)
    found = store.find("numbers", key)
    assert found is not None
    assert found.read().equals(ROWS)
    assert found.info["seconds"] == 1.5


def test_counts_tell_good_rows_from_failed_ones(tmp_path: Path) -> None:
    artifact = published(ArtifactStore(str(tmp_path)))
    assert artifact.counts == {"rows_in": 1001, "rows_ok": 1000, "failed": {"corrupt": 1}}
    assert artifact.read_errors().to_pylist() == [ERROR]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    artifact = published(ArtifactStore(str(tmp_path)))
    part = Path(artifact.file("data.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"data\.parquet: this part of an artifact is damaged"):
        artifact.read()
    storage.write_parquet(str(part), ROWS.slice(0, 10))
    with pytest.raises(UserError, match=r"has 10 rows where artifact\.json says 1000\. Delete"):
        artifact.read()
    part.unlink()
    with pytest.raises(UserError, match=r"data\.parquet: this part of an artifact is damaged"):
        artifact.read()


def test_an_artifact_without_a_good_row_says_so(tmp_path: Path) -> None:
    writer = ArtifactStore(str(tmp_path)).writer("numbers", "count", {}, inputs={})
    writer.add_errors(table([ERROR], ERRORS))
    with pytest.raises(UserError, match=r"has no rows; 1 failed"):
        writer.publish(0).read()


def test_broken_artifact_json_is_a_user_error(tmp_path: Path) -> None:
    store = ArtifactStore(str(tmp_path))
    artifact = published(store)
    storage.write_text(artifact.file("artifact.json"), "{")
    with pytest.raises(UserError, match=r"artifact\.json is not valid JSON"):
        store.find("numbers", fingerprint("numbers", {"to": 1000}, {}))


def test_fingerprints_depend_on_content_not_on_order() -> None:
    assert fingerprint("a", {"x": 1, "y": 2}, {}) == fingerprint("a", {"y": 2, "x": 1}, {})
    assert fingerprint("a", {"x": 1}, {}) != fingerprint("b", {"x": 1}, {})
    assert fingerprint("a", {}, {"x": "1"}) != fingerprint("a", {}, {"x": "2"})
    in_two_pieces = pa.concat_tables([ROWS.slice(0, 10), ROWS.slice(10)])
    assert table_content(in_two_pieces) == table_content(ROWS)
    assert table_content(ROWS.slice(1)) != table_content(ROWS)


def test_the_content_of_a_slice_is_that_of_its_rows_alone() -> None:
    few, more = (
        pa.table({"x": [*"ab", *rest], "n": [None, *range(len(rest) + 1)]}) for rest in ("c", "dc")
    )
    whole = pa.table({"x": [*"ab"], "n": [None, 0]})
    assert table_content(few.slice(0, 2)) == table_content(more.slice(0, 2)) == table_content(whole)


def test_a_raised_version_does_not_find_what_an_older_one_stored() -> None:
    store = ArtifactStore("memory://versions")
    store.writer("numbers", "count", {"to": 3}, inputs={}).publish(0)
    old = fingerprint("numbers", {"to": 3}, {})
    new = fingerprint("numbers", {"to": 3}, {}, version=2)
    assert store.find("numbers", old)
    assert store.find("numbers", new) is None
    made = store.writer("numbers", "count", {"to": 3}, inputs={}, version=2).publish(0)
    assert made.fingerprint == new
    assert store.find("numbers", new)
