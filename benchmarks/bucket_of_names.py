"""An HTTP server that answers ListObjectsV2 as S3 does, with keys that it makes up page by page:
a bucket of any number of names without their objects."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEYS_PER_PAGE = 1000
KEYS_PER_CLASS = 1000


def key(number: int) -> str:
    """Keys in their order, 1,000 to a folder."""
    folder, image = divmod(number, KEYS_PER_CLASS)
    return f"images/class_{folder:05d}/image_{image:04d}.jpg"


def number_of(name: str) -> int:
    """The number of the first key behind `name`."""
    _, folder, image = name.split("/")
    return int(folder[6:]) * KEYS_PER_CLASS + int(image[6:10]) + 1


@contextmanager
def bucket_of_names(num_keys: int) -> Iterator[str]:
    """The endpoint of a server on loopback; any bucket there has the folder `images`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(404, b"")

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            start = int(query.get("continuation-token", ["0"])[0])
            if "start-after" in query:
                start = max(start, number_of(query["start-after"][0]))
            size = int(query.get("max-keys", [str(KEYS_PER_PAGE)])[0])
            end = min(num_keys, start + min(size, KEYS_PER_PAGE))
            contents = "".join(
                f"<Contents><Key>{key(n)}</Key><Size>1</Size><ETag>x</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for n in range(start, end)
            )
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < num_keys else ""
            body = (
                f"<ListBucketResult><IsTruncated>{str(end < num_keys).lower()}</IsTruncated>"
                f"<KeyCount>{end - start}</KeyCount>{contents}{more}</ListBucketResult>"
            )
            self._answer(200, body.encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
