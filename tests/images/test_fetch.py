"""Local files and names; what S3 answers is in tests/store/test_s3.py."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

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


class Answers(BaseHTTPRequestHandler):
    """Answers /STATUS with that status, and counts what it is asked."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        status = int(self.path[1:4])
        body = b"picture" if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.command == "GET" else b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, "missing"),
        (410, "missing"),
        (401, "forbidden"),
        (403, "forbidden"),
        (429, "throttled"),
        (500, "network"),
        (503, "throttled"),
    ],
)
def test_a_picture_on_the_web_fails_by_its_status(web, status, kind):
    with pytest.raises(ImageError) as caught:
        fetch(f"{web}/{status}.jpg", 100, patience_s=1)
    assert caught.value.kind == kind
    assert str(status) in caught.value.message
    if kind == "missing":
        # a HEAD and a GET for the size
        assert Answers.asked[f"/{status}.jpg"] == 2


def test_a_picture_on_the_web_is_read_and_a_server_that_is_not_there_is_no_missing_file(web):
    assert fetch(f"{web}/200.jpg", 100) == b"picture"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}/200.jpg"
    with pytest.raises(ImageError) as caught:
        fetch(gone, 100, patience_s=1)
    assert caught.value.kind == "network"
