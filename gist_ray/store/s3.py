"""Connections to S3, and the reading, listing and deleting of objects.

The settings of the connection come from the environment: AWS's own variables and profiles, and
fsspec's (FSSPEC_S3_ANON=true, FSSPEC_S3_CONFIG_KWARGS='{"read_timeout": 60}').
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec
from botocore.exceptions import ClientError, IncompleteReadError  # type: ignore[import-untyped]
from fsspec.asyn import sync

from gist_ray.store.retry import patience_for, patiently

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 15
"""Longest time without a byte from the server, before an answer and within it."""

REQUEST_ATTEMPTS = 3
"""botocore's attempts at a single request, with pauses of up to 1 and 2 s."""

MOST_DELETED_AT_ONCE = 1000

CREDENTIALS = (
    r"(?i)[a-z0-9+.-]+://([^/?#\s]*@"
    r"|.*[?&](X-Amz-(Signature|Credential|Security-Token)|AWSAccessKeyId|Signature|sig)=)"
)
"""Matches a key, a token or a signature in a URI, as in s3://key:secret@bucket. Such a URI would
be stored with the config, the manifest and the report. The syntax is of both `re` and Arrow."""


class TooLargeError(Exception):
    """Raised for a file of more bytes than the caller allows."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__(f"{num_bytes:,} bytes")
        self.num_bytes = num_bytes


def is_s3(uri: str) -> bool:
    return uri.startswith(("s3://", "s3a://"))


def holds_credentials(text: str) -> bool:
    return re.search(CREDENTIALS, text) is not None


def options() -> dict[str, Any]:
    """Returns the arguments of s3fs. Those that the environment sets through fsspec take
    precedence."""
    given = fsspec.config.conf.get("s3", {})
    connection = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": {"mode": "standard", "total_max_attempts": REQUEST_ATTEMPTS},
        "max_pool_connections": 32,
    }
    # Other processes write too, so a cached listing would soon be wrong.
    chosen = {
        "use_listings_cache": False,
        "config_kwargs": {**connection, **given.get("config_kwargs", {})},
    }
    # botocore does not read AWS_REGION, which all of AWS's other tools read.
    if (region := os.environ.get("AWS_REGION")) and not os.environ.get("AWS_DEFAULT_REGION"):
        chosen["client_kwargs"] = {"region_name": region, **given.get("client_kwargs", {})}
    return chosen


def filesystem() -> Any:
    files = fsspec.get_filesystem_class("s3")(**options())
    # botocore's attempts have jitter and cover more errors; s3fs would repeat them five times.
    files.retries = 1
    return files


@dataclass(frozen=True)
class Piece:
    """Some bytes of an object."""

    data: bytes
    num_bytes: int
    """The size of the whole object."""
    etag: str
    """The ETag of the version that `data` was read from."""


class ChangedError(Exception):
    """Raised if an object was replaced while it was read."""


def read_object(
    files: Any,
    path: str,
    timeout_s: float,
    *,
    max_bytes: int | None = None,
    span: tuple[int, int] | None = None,
) -> bytes:
    """Returns a whole object, or its bytes from start to before end of `span`, with one request.

    Raises TooLargeError, before the body is read, if it has more than `max_bytes`, and
    IncompleteReadError for a body that is shorter than its header says.
    """
    part = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
    return _get(files, path, timeout_s, max_bytes=max_bytes, request=part)[1]


def read_tail(files: Any, path: str, timeout_s: float, *, num_bytes: int) -> Piece:
    """Returns the last `num_bytes` bytes of an object, all of a smaller one, with one request."""
    try:
        answer, data = _get(files, path, timeout_s, request={"Range": f"bytes=-{num_bytes}"})
    except OSError as error:
        if _code_of(error) != "InvalidRange":
            raise
        return Piece(b"", 0, "")  # S3 refuses any range of an empty object
    total = answer.get("ContentRange", "").rpartition("/")[2]
    return Piece(data, int(total or len(data)), answer["ETag"])


def read_of_version(
    files: Any, path: str, timeout_s: float, *, span: tuple[int, int], etag: str
) -> bytes:
    """Returns the bytes from start to before end of `span`. Raises ChangedError if the object's
    ETag is no longer `etag`."""
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
    """Returns the answer to get_object and its body."""
    bucket, key, _ = files.split_path(path)
    answer = files.call_s3("get_object", Bucket=bucket, Key=key, **request, timeout=timeout_s)
    body = answer["Body"]
    try:
        num_bytes = answer.get("ContentLength", -1)
        if max_bytes is not None and num_bytes > max_bytes:
            raise TooLargeError(num_bytes)
        # Without a bound on the size, a large object is given time in proportion to its size.
        longest = max(timeout_s, patience_for(num_bytes)) if max_bytes is None else timeout_s
        data: bytes = sync(files.loop, body.read, timeout=longest)
    finally:
        files.loop.call_soon_threadsafe(body.close)
    if len(data) != num_bytes:
        raise IncompleteReadError(actual_bytes=len(data), expected_bytes=num_bytes)
    return answer, data


def _code_of(error: BaseException) -> str:
    """Returns the code of S3's answer in the causes of an exception of s3fs, or ""."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientError):
            return str(seen.response.get("Error", {}).get("Code", ""))
        seen = seen.__cause__
    return ""


def list_keys(files: Any, path: str, after: str = "") -> Iterator[str]:
    """Returns the keys below a folder, relative to it, that come after `after`, requested page by
    page, in the bucket's (UTF-8) order. Objects that only mark a folder are left out."""
    return (found.key for found in list_objects(files, path, after))


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing gives it."""

    key: str
    """Relative to the folder that was listed."""
    num_bytes: int
    etag: str


def list_objects(
    files: Any, path: str, after: str = "", *, recursive: bool = True
) -> Iterator[Listed]:
    """Yields the objects of `list_keys`; not recursive: only those directly in the folder."""
    bucket, key, _ = files.split_path(path)
    prefix = f"{key.rstrip('/')}/" if key else ""
    request: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix}
    if after:
        request["StartAfter"] = prefix + after
    if not recursive:
        request["Delimiter"] = "/"
    while True:
        page = patiently(lambda s: files.call_s3("list_objects_v2", **request, timeout=s))
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):
                yield Listed(found["Key"][len(prefix) :], found["Size"], found["ETag"])
        if not page.get("IsTruncated"):
            return
        request["ContinuationToken"] = page["NextContinuationToken"]


def names_starting_with(files: Any, path: str, timeout_s: float) -> list[str]:
    """Returns the last parts of the keys that begin with `path` and have no / after it. One request
    is made, so at most a thousand."""
    bucket, key, _ = files.split_path(path)
    page = files.call_s3(
        "list_objects_v2", Bucket=bucket, Prefix=key, Delimiter="/", timeout=timeout_s
    )
    return [found["Key"].rpartition("/")[2] for found in page.get("Contents", ())]


def delete_objects(files: Any, path: str) -> None:
    """Deletes the object at `path` and all below it. Names are not read as patterns."""
    bucket, key, _ = files.split_path(path)
    below = (f"{key}/{name}".lstrip("/") for name in list_keys(files, path))
    names = [name for name in (key, *below) if name]
    for at in range(0, len(names), MOST_DELETED_AT_ONCE):
        _delete(files, bucket, names[at : at + MOST_DELETED_AT_ONCE])


def _delete(files: Any, bucket: str, names: list[str]) -> None:
    # Imported only where S3 is used: it takes longer than all else that --help needs.
    from s3fs.errors import translate_boto_error

    wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}

    def attempt(timeout_s: float) -> None:
        answer = files.call_s3("delete_objects", Bucket=bucket, Delete=wanted, timeout=timeout_s)
        for failed in answer.get("Errors", ()):
            # The answer to the whole request is 200 even if single objects were refused.
            raise translate_boto_error(ClientError({"Error": failed}, "DeleteObjects"))

    patiently(attempt)
