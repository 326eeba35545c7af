"""Local places; buckets are in tests/store/test_s3.py."""

from pathlib import Path

from gist_ray.store.reachable import why_missing, why_unwritable


def test_what_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    assert why_unwritable(str(tmp_path / "new" / "folder")) == ""
    assert why_unwritable("memory://anything") == ""
    (tmp_path / "file").touch()
    why = why_unwritable(str(tmp_path / "file" / "below"))
    assert why == f"{tmp_path}/file is no folder that this user may write to"


def test_what_is_missing_is_told_apart(tmp_path: Path) -> None:
    assert why_missing(str(tmp_path)) == ""
    assert why_missing(str(tmp_path / "x")) == "there is no such file or folder"
    assert why_missing("nosuch://x") == "cannot be reached (Protocol not known: nosuch)"
