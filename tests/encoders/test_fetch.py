import pytest

from gist_ray import storage
from gist_ray.encoders import images
from gist_ray.encoders.images import ImageError, fetch


class FakeClientError(Exception):
    """As botocore's: the answer of the server is in `response`."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(f"An error occurred ({code})")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class NoCredentialsError(Exception):
    """Of botocore's name."""


class FakeFileSystem:
    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        self.error, self.cause = error, cause

    def size(self, path: str) -> int:
        raise self.error from self.cause


def kind_of(
    monkeypatch: pytest.MonkeyPatch, error: Exception, cause: Exception | None = None
) -> str:
    files = FakeFileSystem(error, cause)
    monkeypatch.setattr(images.storage, "filesystem", lambda uri: (files, "bucket/a.jpg"))
    with pytest.raises(ImageError) as caught:
        fetch("s3://bucket/a.jpg", 100)
    assert caught.value.message
    return caught.value.kind


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, "missing"),
        ("NoSuchBucket", 404, "missing"),
        ("404", 404, "missing"),
        ("AccessDenied", 403, "forbidden"),
        ("SignatureDoesNotMatch", 403, "forbidden"),
        ("SlowDown", 503, "throttled"),
        ("TooManyRequests", 429, "throttled"),
        ("InternalError", 500, "network"),
    ],
)
def test_an_answer_of_s3_has_its_kind_bare_or_behind_s3fs(monkeypatch, code, status, kind):
    answer = FakeClientError(code, status)
    assert kind_of(monkeypatch, answer) == kind
    assert kind_of(monkeypatch, OSError(5, "Input/output error"), cause=answer) == kind


def test_what_s3fs_translates_and_what_has_no_answer(monkeypatch):
    assert kind_of(monkeypatch, FileNotFoundError("bucket/a.jpg")) == "missing"
    assert kind_of(monkeypatch, PermissionError("Access Denied")) == "forbidden"
    assert kind_of(monkeypatch, NoCredentialsError("Unable to locate credentials")) == "forbidden"
    assert kind_of(monkeypatch, ConnectionError("reset by peer")) == "network"


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
