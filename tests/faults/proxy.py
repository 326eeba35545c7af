"""A proxy before an S3 endpoint that throttles, resets, truncates, stalls and forbids by rule.

It runs in threads of the test's own process: a test sets `rules`, runs a job against `url`, and
reads from `counts` and `requests` that the faults really happened.
"""

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import unquote, urlsplit

Fault = Literal["slow_down", "reset", "lost_answer", "truncate", "stall", "stall_midway", "forbid"]
"""
slow_down: 503 with S3's XML, nothing forwarded.
reset: the connection is reset before the request is forwarded.
lost_answer: the request is forwarded and done, then the connection is reset.
truncate: half of the body under the header of the whole, then the connection closes. An answer
    without a body is reset.
stall: the request is taken and never answered.   stall_midway: half of the body, then nothing.
forbid: 403 with S3's XML.
"""

# Both change on the way and speak of one connection only (RFC 9110, 7.6.1).
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass
class Rule:
    """Which requests get a fault. Where several rules choose a request, the first one counts."""

    fault: Fault
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    prefix: str = ""
    """Of "bucket/key", decoded. A listing's is the bucket and the prefix that it asks for."""
    fraction: float = 1.0
    """Share of the fitting requests that start a burst of the fault."""
    burst: int = 1
    """As many fitting requests in a row get the fault."""
    skip: int = 0
    """The first fitting requests that are left alone."""
    most: int | None = None
    """Faults after which the rule rests."""
    done: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)
    left_in_burst: int = field(default=0, init=False)

    def chooses(self, method: str, path: str, draw: random.Random) -> bool:
        if method not in self.methods or not path.startswith(self.prefix):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.most is not None and self.done >= self.most):
            return False
        if not self.left_in_burst and draw.random() < self.fraction:
            self.left_in_burst = self.burst
        if not self.left_in_burst:
            return False
        self.left_in_burst -= 1
        self.done += 1
        return True


@dataclass(frozen=True)
class Request:
    """A request that the proxy got, and the fault that it did to it."""

    method: str
    path: str
    """ "bucket/key", decoded."""
    is_signed: bool
    fault: Fault | None


class FaultyProxy:
    """Serves at `url` what the endpoint serves, but for the faults of `rules`."""

    def __init__(self, endpoint: str, seed: int = 0) -> None:
        self.endpoint = urlsplit(endpoint).netloc
        self.rules: list[Rule] = []
        self.requests: list[Request] = []
        self.bytes_sent = 0
        """Of the bodies of answers that were not cut short."""
        self.closing = threading.Event()
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def counts(self) -> Counter[str]:
        """Faults done, by kind."""
        with self._lock:
            return Counter(request.fault for request in self.requests if request.fault)

    def reset(self, *rules: Rule) -> None:
        """Forget what was seen, and do `rules` from now on."""
        with self._lock:
            self.requests = []
            self.bytes_sent = 0
            self.rules = list(rules)

    def fault_of(self, method: str, path: str, is_signed: bool) -> Fault | None:
        with self._lock:
            fitting = (r.fault for r in self.rules if r.chooses(method, path, self._draw))
            fault = next(fitting, None)
            self.requests.append(Request(method, path, is_signed, fault))
            return fault

    def count(self, num_bytes: int) -> None:
        with self._lock:
            self.bytes_sent += num_bytes

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def faulty_proxy(endpoint: str, seed: int = 0) -> Iterator[FaultyProxy]:
    proxy = FaultyProxy(endpoint, seed)
    try:
        yield proxy
    finally:
        proxy.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, as clients do on a fault, is no news."""


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"
    # Without it an answer in two writes waits for the client's delayed acknowledgement: 40 ms.
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        body = self._read_body()
        is_signed = "Authorization" in self.headers or "X-Amz-Signature=" in self.path
        fault = self.proxy.fault_of(self.command, _object_path(self.path), is_signed)
        if fault == "slow_down":
            self._refuse(503, "SlowDown", "Please reduce your request rate.")
        elif fault == "forbid":
            self._refuse(403, "AccessDenied", "Access Denied")
        elif fault == "reset":
            self._reset()
        elif fault == "stall":
            self._stall()
        else:
            self._forward(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return body

    def _forward(self, body: bytes, fault: Fault | None) -> None:
        upstream = HTTPConnection(self.proxy.endpoint, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            headers["Content-Length"] = str(len(body))
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            return self._reset()
        finally:
            upstream.close()
        if fault == "lost_answer" or (fault and not content):
            return self._reset()
        self._send_head(answer, len(content))
        if fault in ("truncate", "stall_midway"):
            self.wfile.write(content[: len(content) // 2])
            return self._stall() if fault == "stall_midway" else self._hang_up()
        self.proxy.count(len(content))
        self.wfile.write(content)

    def _send_head(self, answer: HTTPResponse, length: int) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if self.command == "HEAD":
            length = int(answer.getheader("Content-Length") or 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _refuse(self, status: int, code: str, message: str) -> None:
        xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        content = b"" if self.command == "HEAD" else xml.encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stall(self) -> None:
        """Until the client gives up or the proxy ends."""
        self.connection.settimeout(0.2)
        while not self.proxy.closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    break
        self.close_connection = True

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def _reset(self) -> None:
        no_linger = struct.pack("ii", 1, 0)  # closing sends a reset
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.close_connection = True
        # The handler's end would shut the connection down in order first.
        self.connection.close()
        raise ConnectionResetError

    def log_message(self, *args: object) -> None:
        """Requests are kept in `proxy.requests`."""


def _object_path(target: str) -> str:
    parts = urlsplit(target)
    path = unquote(parts.path).lstrip("/")
    for word in parts.query.split("&"):
        if word.startswith("prefix="):
            return f"{path.rstrip('/')}/{unquote(word.removeprefix('prefix=').replace('+', ' '))}"
    return path
