"""Reading and writing of files in local folders, on s3:// and in memory://, with atomic writes.

Operations over a network are repeated as `retry` describes. Credentials, region and endpoint of S3
come from the environment (AWS_PROFILE, AWS_ENDPOINT_URL, an instance role ...) and never from a
config.
"""

import json
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from gist_ray.store import s3
from gist_ray.store.ranged_file import RangedFile
from gist_ray.store.retry import PATIENCE_S, patience_for, patiently

UNFINISHED = ".tmp"

_CREATING = threading.Lock()


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Returns the filesystem of `uri` and the path in it. Each process calls this for itself."""
    if is_local(uri):
        return fsspec.filesystem("file"), absolute(uri)
    if s3.is_s3(uri):
        files = s3.filesystem()
        return files, files._strip_protocol(uri)
    # fsspec's url_to_fs would read the name of a file such as a::b.jpg as a chain of filesystems
    kind = fsspec.get_filesystem_class(uri.split("://")[0])
    fs = kind(**kind._get_kwargs_from_urls(uri), use_listings_cache=False)
    return fs, kind._strip_protocol(uri)


def cache_folder() -> Path:
    """Returns the folder that keeps models between runs on this machine: $GIST_RAY_CACHE, or
    ~/.cache/gist_ray."""
    return Path(os.environ.get("GIST_RAY_CACHE") or Path.home() / ".cache" / "gist_ray")


def is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def absolute(uri: str) -> str:
    """Returns `uri` independent of the working directory, and without a / at its end."""
    return os.path.abspath(uri.removeprefix("file://")) if is_local(uri) else uri.rstrip("/")


def join(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts if part)])


def exists(uri: str, patience_s: float = PATIENCE_S) -> bool:
    """Returns whether there is a file or folder. Raises the store's error if it does not answer."""
    return _info(uri, patience_s) is not None


def is_folder(uri: str) -> bool:
    info = _info(uri)
    return info is not None and info["type"] == "directory"


def _info(uri: str, patience_s: float = PATIENCE_S) -> dict[str, Any] | None:
    fs, path = filesystem(uri)
    try:
        info: dict[str, Any] = call(fs, "info", path, patience_s=patience_s)
        return info
    except FileNotFoundError:
        return None


def version(uri: str) -> str:
    """Returns a text that changes with the file's content: its ETag, or the checksum that fsspec
    computes from its size and time."""
    fs, path = filesystem(uri)
    # s3fs's own checksum raises for an ETag that is not a hexadecimal number
    return str(call(fs, "info", path).get("ETag") or call(fs, "checksum", path))


def read_bytes(uri: str, max_bytes: int | None = None, patience_s: float = PATIENCE_S) -> bytes:
    """Returns a whole file. Raises s3.TooLargeError, before reading it, if it has more than
    `max_bytes`.

    patience_s: seconds for all attempts; without `max_bytes` a large file may take longer.
    """
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        return patiently(lambda s: s3.read_object(fs, path, s, max_bytes=max_bytes), patience_s)
    if max_bytes is not None:
        num_bytes = call(fs, "info", path, patience_s=patience_s)["size"] or 0
        if num_bytes > max_bytes:
            raise s3.TooLargeError(num_bytes)
    data: bytes = call(fs, "cat_file", path, patience_s=patience_s)
    return data


def size(uri: str) -> int:
    """Returns the number of bytes of a file."""
    if is_local(uri):
        return os.path.getsize(absolute(uri))
    fs, path = filesystem(uri)
    return int(call(fs, "info", path)["size"] or 0)


def read_range(uri: str, start: int, end: int, *, patience_s: float = PATIENCE_S) -> bytes:
    """Returns the bytes from `start` to before `end`, fewer if the file ends earlier."""
    if is_local(uri):
        with open(absolute(uri), "rb") as file:
            file.seek(start)
            return file.read(end - start)
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        return patiently(lambda s: s3.read_object(fs, path, s, span=(start, end)), patience_s)
    data: bytes = call(fs, "cat_file", path, start, end, patience_s=patience_s)
    return data


def read_text(uri: str) -> str:
    return read_bytes(uri).decode("utf-8-sig")


def read_json(uri: str) -> Any:
    return json.loads(read_text(uri))


def read_parquet(uri: str, columns: list[str] | None = None, *, by_range: bool = True) -> pa.Table:
    """Returns the rows of a Parquet file. The checksum of every page that is read is verified.

    On S3 a whole file is read with one request. If `columns` are given, only the footer and the
    bytes of these columns are read (`RangedFile`), all from one version of the file.

    by_range: False if the columns are nearly all of the file, so that one request is faster.
    """
    if is_local(uri):
        with open(absolute(uri), "rb") as file:
            return _read_table(file, columns)
    if columns is not None and by_range and s3.is_s3(uri):
        try:
            return _read_table(RangedFile(*filesystem(uri)), columns)
        except s3.ChangedError:
            pass  # the request for the whole file below sees one version
    return _read_table(pa.BufferReader(read_bytes(uri)), columns)


def _read_table(file: Any, columns: list[str] | None) -> pa.Table:
    return pq.read_table(file, columns=columns, page_checksum_verification=True)


def write_bytes(uri: str, data: bytes, patience_s: float | None = None) -> None:
    """Writes a file atomically: readers see it complete or not at all.

    A local file is written under a temporary name beside it and renamed. An object on S3 or in
    memory appears only when it is complete.
    """
    fs, path = filesystem(uri)
    if not is_local(uri):
        call(fs, "pipe_file", path, data, patience_s=patience_s or patience_for(len(data)))
        return
    with _appearing_whole(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def write_new(uri: str, data: bytes) -> bool:
    """Writes a small file unless it exists. Returns whether it was written.

    Of several callers at the same time one succeeds: local processes; S3 clients, if the endpoint
    honours If-None-Match (AWS S3 does); threads, in memory.
    """
    fs, path = filesystem(uri)
    try:
        if is_local(uri):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(data)
        elif s3.is_s3(uri):
            call(fs, "pipe_file", path, data, mode="create")
        else:
            # fsspec's memory filesystem checks and writes in two steps
            with _CREATING:
                call(fs, "pipe_file", path, data, mode="create")
    except FileExistsError:
        return False
    return True


def put_file(path: str, uri: str) -> None:
    """Copies a local file to `uri`, atomically as `write_bytes` does."""
    fs, remote = filesystem(uri)
    if not is_local(uri):
        call(fs, "put_file", path, remote, patience_s=patience_for(os.path.getsize(path)))
        return
    with _appearing_whole(remote) as temporary:
        shutil.copyfile(path, temporary)


def get_file(uri: str, path: str) -> None:
    """Copies a file to a local path, atomically as `write_bytes` does. Raises OSError if the file
    changes while it is read."""
    fs, remote = filesystem(uri)
    with _appearing_whole(absolute(path)) as temporary:
        if is_local(uri):
            shutil.copyfile(remote, temporary)
            return
        num_bytes = call(fs, "info", remote)["size"]
        call(fs, "get_file", remote, temporary, patience_s=patience_for(num_bytes))
        if os.path.getsize(temporary) != num_bytes:
            raise OSError(f"{uri}: changed while it was read.")


def call(
    fs: AbstractFileSystem,
    method: str,
    *args: Any,
    patience_s: float = PATIENCE_S,
    **options: Any,
) -> Any:
    """Calls a filesystem's method, with retries; on a network each attempt has a time limit."""

    def attempt(timeout_s: float) -> Any:
        bound = {"timeout": timeout_s} if isinstance(fs, AsyncFileSystem) else {}
        return getattr(fs, method)(*args, **options, **bound)

    return patiently(attempt, patience_s)


@contextmanager
def _appearing_whole(path: str) -> Iterator[str]:
    """Yields the name of a temporary file beside `path`, which is renamed to `path` if the body
    raises nothing and deleted otherwise."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex}{UNFINISHED}"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno and not error.filename:
            # The error of a write to a full disk names no file. The path goes into the message
            # because Ray Data (2.60) overwrites the attribute `filename`.
            raise OSError(error.errno, f"{error.strerror}: {path}") from error
        raise


def write_text(uri: str, text: str) -> None:
    write_bytes(uri, text.encode("utf-8"))


def write_json(uri: str, value: Any) -> None:
    write_text(uri, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def write_parquet(uri: str, table: pa.Table) -> None:
    write_bytes(uri, parquet_bytes(table))


def parquet_bytes(table: pa.Table) -> bytes:
    """Returns the content of a Parquet file of these rows, with page checksums."""
    sink = pa.BufferOutputStream()
    # By default Parquet has no checksums, and a flipped bit would go unnoticed.
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def names_in(uri: str) -> list[str]:
    """Returns the names of the files and folders directly in a folder."""
    fs, path = filesystem(uri)
    return sorted(found.rstrip("/").split("/")[-1] for found in call(fs, "ls", path, False))


def names_starting_with(uri: str, patience_s: float = PATIENCE_S) -> list[str]:
    """Returns the names of the files and folders whose URI begins with `uri`. On S3 one request is
    made, which returns no folders and at most a thousand files."""
    fs, path = filesystem(uri)
    folder, _, start = path.rpartition("/")
    if s3.is_s3(uri):
        return patiently(lambda s: s3.names_starting_with(fs, path, s), patience_s)
    try:
        found = call(fs, "ls", folder, False, patience_s=patience_s)
    except FileNotFoundError:
        return []
    names = (one.rstrip("/").split("/")[-1] for one in found)
    return [name for name in names if name.startswith(start)]


def list_files(uri: str, after: str = "") -> Iterator[str]:
    """Yields all files below a folder that come after `after`, as paths relative to the folder, in
    sorted order. On S3 they are requested a thousand at a time."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        yield from s3.list_keys(fs, path, after)
        return
    prefix = path.rstrip("/") + "/"
    for found in sorted(call(fs, "find", path)):
        if found[len(prefix) :] > after:
            yield found[len(prefix) :]


def list_sizes(uri: str) -> dict[str, int]:
    """Returns the number of bytes of every file below a folder, by its path relative to the folder,
    in sorted order."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        return {found.key: found.num_bytes for found in s3.list_objects(fs, path)}
    prefix = path.rstrip("/") + "/"
    found = call(fs, "find", path, detail=True)
    return {name[len(prefix) :]: int(found[name]["size"]) for name in sorted(found)}


def delete(uri: str) -> None:
    """Deletes a file or folder if it exists."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        s3.delete_objects(fs, path)
    elif fs.exists(path):
        fs.rm(path, recursive=True)
