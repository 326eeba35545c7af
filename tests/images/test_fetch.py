"""Local files and names; what S3 answers is in tests/store/test_s3.py."""

import pytest

from gist_ray.images.decode import ImageError, fetch
from gist_ray.store import storage


def test_local_files(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"12345")
    assert fetch(str(file), 5) == b"12345"
    (tmp_path / "empty.jpg").touch()
    for uri, max_bytes, kind in [
        (str(file), 4, "too_large"),
        (str(tmp_path / "none.jpg"), 4, "missing"),
        (str(file / "under-a-file.jpg"), 4, "missing"),
        (str(tmp_path / "empty.jpg"), 4, "empty"),
        (str(tmp_path), 10**6, "corrupt"),
    ]:
        with pytest.raises(ImageError) as caught:
            fetch(uri, max_bytes)
        assert caught.value.kind == kind, uri


def test_names_that_look_like_urls_are_files(tmp_path):
    odd = tmp_path / "a::b c%20#1.jpg"
    odd.write_bytes(b"x")
    assert fetch(str(odd), 5) == b"x"
    storage.write_bytes("memory://bucket/a b#1.jpg", b"y")
    assert fetch("memory://bucket/a b#1.jpg", 5) == b"y"
