"""S3 as we use it: how it is reached, and objects read, listed and deleted.

Everything about the connection comes from the environment: AWS's own variables and profiles, and
fsspec's (FSSPEC_S3_ANON=true, FSSPEC_S3_CONFIG_KWARGS='{"read_timeout": 60}').
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import fsspec
from botocore.exceptions import ClientError, IncompleteReadError  # type: ignore[import-untyped]
from fsspec.asyn import sync

from gist_ray.store.retry import patience_for, patiently

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 15
"""The longest silence of the server, before an answer and within it."""

REQUEST_ATTEMPTS = 3
"""Of every single request, by botocore, with up to 1 and 2 s between them."""

MOST_DELETED_AT_ONCE = 1000

CREDENTIALS = (
    r"(?i)[a-z0-9+.-]+://([^/?#\s]*@"
    r"|.*[?&](X-Amz-(Signature|Credential|Security-Token)|AWSAccessKeyId|Signature|sig)=)"
)
"""A key, a token or a signature in a URI, as in s3://key:secret@bucket. It would be written down
with the config, the manifest and the report. For `re` and for Arrow."""


class TooLargeError(Exception):
    """A file has more bytes than are to be read."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__(f"{num_bytes:,} bytes")
        self.num_bytes = num_bytes


def is_s3(uri: str) -> bool:
    return uri.startswith(("s3://", "s3a://"))


def holds_credentials(text: str) -> bool:
    return re.search(CREDENTIALS, text) is not None


def options() -> dict[str, Any]:
    """Arguments of s3fs; what the environment gives through fsspec goes before ours."""
    given = fsspec.config.conf.get("s3", {})
    connection = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": {"mode": "standard", "total_max_attempts": REQUEST_ATTEMPTS},
        "max_pool_connections": 32,
    }
    # Other processes write too, so a listing that was kept would soon be wrong.
    chosen = {
        "use_listings_cache": False,
        "config_kwargs": {**connection, **given.get("config_kwargs", {})},
    }
    # botocore for Python does not know AWS_REGION, which all of AWS's other tools read.
    if (region := os.environ.get("AWS_REGION")) and not os.environ.get("AWS_DEFAULT_REGION"):
        chosen["client_kwargs"] = {"region_name": region, **given.get("client_kwargs", {})}
    return chosen


def filesystem() -> Any:
    files = fsspec.get_filesystem_class("s3")(**options())
    # botocore's attempts have jitter and know more errors; s3fs would multiply them by its five.
    files.retries = 1
    return files


@dataclass(frozen=True)
class Piece:
    """Bytes of an object."""

    data: bytes
    num_bytes: int
    """Of the whole object."""
    etag: str
    """Of the version that the bytes are of."""


class ChangedError(Exception):
    """An object is of another version than the one that was begun to be read."""


def read_object(
    files: Any,
    path: str,
    timeout_s: float,
    *,
    max_bytes: int | None = None,
    span: tuple[int, int] | None = None,
) -> bytes:
    """A whole object, or its bytes of `span` (start, end), by one request, which also tells its
    size.

    Raises TooLargeError before the body is read, and IncompleteReadError for a body that is not as
    long as its header says.
    """
    part = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    return _get(files, path, timeout_s, max_bytes=max_bytes, request=part)[1]


def read_tail(files: Any, path: str, timeout_s: float, *, num_bytes: int) -> Piece:
    """The last `num_bytes` bytes of an object, all of a smaller one, by one request."""
    try:
        answer, data = _get(files, path, timeout_s, request={"Range": f"bytes=-{num_bytes}"})
    except OSError as error:
        if _code_of(error) != "InvalidRange":
            raise
        return Piece(b"", 0, "")  # an object of no bytes has no last ones
    total = answer.get("ContentRange", "").rpartition("/")[2]
    return Piece(data, int(total or len(data)), answer["ETag"])


def read_of_version(
    files: Any, path: str, timeout_s: float, *, span: tuple[int, int], etag: str
) -> bytes:
    """The bytes of `span` (start, end). Raises ChangedError if the object is of another version
    than `etag` now."""
    request = {"Range": f"bytes={span[0]}-{span[1] - 1}", "IfMatch": etag}
    try:
        return _get(files, path, timeout_s, request=request)[1]
    except OSError as error:
        if _code_of(error) not in ("PreconditionFailed", "412"):
            raise
        raise ChangedError(f"{path}: changed while it was read.") from None


def _get(
    files: Any,
    path: str,
    timeout_s: float,
    *,
    request: Mapping[str, str],
    max_bytes: int | None = None,
) -> tuple[dict[str, Any], bytes]:
    """The answer to get_object and its body."""
    bucket, key, _ = files.split_path(path)
    answer = files.call_s3("get_object", Bucket=bucket, Key=key, **request, timeout=timeout_s)
    body = answer["Body"]
    try:
        num_bytes = answer.get("ContentLength", -1)
        if max_bytes is not None and num_bytes > max_bytes:
            raise TooLargeError(num_bytes)
        # A size is no silence: a large object may take as long as it is large.
        longest = max(timeout_s, patience_for(num_bytes)) if max_bytes is None else timeout_s
        data: bytes = sync(files.loop, body.read, timeout=longest)
    finally:
        files.loop.call_soon_threadsafe(body.close)
    if len(data) != num_bytes:
        raise IncompleteReadError(actual_bytes=len(data), expected_bytes=num_bytes)
    return answer, data


def _code_of(error: BaseException) -> str:
    """The code of S3's answer behind an exception of s3fs, "" where there is none."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientError):
            return str(seen.response.get("Error", {}).get("Code", ""))
        seen = seen.__cause__
    return ""


def list_keys(files: Any, path: str, after: str = "") -> Iterator[str]:
    """Keys below a folder, relative to it, that come after `after`, page by page in the bucket's
    (UTF-8) order. Objects that only mark a folder are left out."""
    return (key for key, _ in list_sizes(files, path, after))


def list_sizes(files: Any, path: str, after: str = "") -> Iterator[tuple[str, int]]:
    """As `list_keys`, with the number of bytes of each object."""
    bucket, key, _ = files.split_path(path)
    prefix = f"{key.rstrip('/')}/" if key else ""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    if after:
        request["StartAfter"] = prefix + after
    while True:
        page = patiently(lambda s: files.call_s3("list_objects_v2", **request, timeout=s))
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):
                yield found["Key"][len(prefix) :], found["Size"]
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def names_starting_with(files: Any, path: str, timeout_s: float) -> list[str]:
    """Last parts of the first thousand keys that begin with `path` and have no / behind it."""
    bucket, key, _ = files.split_path(path)
    page = files.call_s3(
        "list_objects_v2", Bucket=bucket, Prefix=key, Delimiter="/", timeout=timeout_s
    )
    return [found["Key"].rpartition("/")[2] for found in page.get("Contents", ())]


def delete_objects(files: Any, path: str) -> None:
    """The object at `path` and all below it. Names are taken as they are, without patterns."""
    bucket, key, _ = files.split_path(path)
    below = (f"{key}/{name}".lstrip("/") for name in list_keys(files, path))
    names = [name for name in (key, *below) if name]
    for at in range(0, len(names), MOST_DELETED_AT_ONCE):
        objects = [{"Key": name} for name in names[at : at + MOST_DELETED_AT_ONCE]]
        patiently(partial(_delete, files, bucket, objects))


def _delete(files: Any, bucket: str, objects: list[dict[str, str]], timeout_s: float) -> None:
    # Imported only where S3 is used: it takes longer than all else that --help needs.
    from s3fs.errors import translate_boto_error

    wanted = {"Objects": objects, "Quiet": True}
    answer = files.call_s3("delete_objects", Bucket=bucket, Delete=wanted, timeout=timeout_s)
    for failed in answer.get("Errors", ()):
        # The request as a whole succeeded; each object has an answer of its own.
        raise translate_boto_error(ClientError({"Error": failed}, "DeleteObjects"))
