"""Local folders, s3:// and memory:// behind one filesystem, and files that appear whole or not
at all.

What goes over a network is tried again as `retry` says. Credentials, region and endpoint of S3
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
    """The filesystem of `uri` and the path in it. Made anew in every process that needs it."""
    if is_local(uri):
        return fsspec.filesystem("file"), absolute(uri)
    if s3.is_s3(uri):
        files = s3.filesystem()
        return files, files._strip_protocol(uri)
    # not by fsspec's url_to_fs: a file may be called a::b.jpg, which it would read as a chain
    kind = fsspec.get_filesystem_class(uri.split("://")[0])
    fs = kind(**kind._get_kwargs_from_urls(uri), use_listings_cache=False)
    return fs, kind._strip_protocol(uri)


def cache_folder() -> Path:
    """Where models are kept between runs on this machine: $GIST_RAY_CACHE, or ~/.cache/gist_ray."""
    return Path(os.environ.get("GIST_RAY_CACHE") or Path.home() / ".cache" / "gist_ray")


def is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def absolute(uri: str) -> str:
    """`uri` such that it means the same in every process of this machine."""
    return os.path.abspath(uri.removeprefix("file://")) if is_local(uri) else uri.rstrip("/")


def join(uri: str, *parts: str) -> str:
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts if part)])


def exists(uri: str, patience_s: float = PATIENCE_S) -> bool:
    """Whether there is a file or folder; what cannot be told is raised, not taken for a no."""
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
    """Another text once the file has other content, as far as its store can tell."""
    fs, path = filesystem(uri)
    # not s3fs's checksum, which wants an ETag to be a number
    return str(call(fs, "info", path).get("ETag") or call(fs, "checksum", path))


def read_bytes(uri: str, max_bytes: int | None = None, patience_s: float = PATIENCE_S) -> bytes:
    """A whole file. Raises s3.TooLargeError, before reading it, if it has more than `max_bytes`.

    patience_s: how long it is tried; without `max_bytes` a large file may take longer.
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
    """Bytes of a file."""
    fs, path = filesystem(uri)
    return int(call(fs, "info", path)["size"] or 0)


def read_range(uri: str, start: int, end: int, patience_s: float = PATIENCE_S) -> bytes:
    """The bytes from `start` to before `end`, fewer where the file ends earlier."""
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
    """The rows of a Parquet file, with the checksums of all pages read verified.

    On S3 a whole file is one request. Of some columns only the footer and their bytes are read
    (`RangedFile`), and all bytes are of one version of the file.

    by_range: False where the columns are nearly all of the file, so that one request is better.
    """
    if is_local(uri):
        with open(absolute(uri), "rb") as file:
            return _read_table(file, columns)
    if columns is not None and by_range and s3.is_s3(uri):
        try:
            return _read_table(RangedFile(*filesystem(uri)), columns)
        except s3.ChangedError:
            pass  # a single request sees a single version
    return _read_table(pa.BufferReader(read_bytes(uri)), columns)


def _read_table(file: Any, columns: list[str] | None) -> pa.Table:
    return pq.read_table(file, columns=columns, page_checksum_verification=True)


def write_bytes(uri: str, data: bytes, patience_s: float | None = None) -> None:
    """Write a file that readers see whole or not at all.

    Local: a temporary file beside it, then a rename. S3 and memory: an object appears only when
    it is complete.
    """
    fs, path = filesystem(uri)
    if not is_local(uri):
        call(fs, "pipe_file", path, data, patience_s=patience_s or patience_for(len(data)))
        return
    with _appearing_whole(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def write_new(uri: str, data: bytes) -> bool:
    """Write a small file unless there is one; False where there is. Of several that try at once,
    one succeeds, as far as the endpoint honours If-None-Match (AWS S3 does); in memory, of several
    threads."""
    fs, path = filesystem(uri)
    try:
        if is_local(uri):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(data)
        elif s3.is_s3(uri):
            call(fs, "pipe_file", path, data, mode="create")
        else:
            # fsspec's memory looks for the file first and writes it then
            with _CREATING:
                call(fs, "pipe_file", path, data, mode="create")
    except FileExistsError:
        return False
    return True


def put_file(path: str, uri: str) -> None:
    """Copy a local file to `uri`, which readers see whole or not at all."""
    fs, remote = filesystem(uri)
    if not is_local(uri):
        call(fs, "put_file", path, remote, patience_s=patience_for(os.path.getsize(path)))
        return
    with _appearing_whole(remote) as temporary:
        shutil.copyfile(path, temporary)


def get_file(uri: str, path: str) -> None:
    """Copy a file to a local path, where it appears whole or not at all."""
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
    """A filesystem's method with retries, each bounded in time where it waits for a network."""

    def attempt(timeout_s: float) -> Any:
        bound = {"timeout": timeout_s} if isinstance(fs, AsyncFileSystem) else {}
        return getattr(fs, method)(*args, **options, **bound)

    return patiently(attempt, patience_s)


@contextmanager
def _appearing_whole(path: str) -> Iterator[str]:
    """A temporary file beside `path` that takes its place once it is written without an error."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex}{UNFINISHED}"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno and not error.filename:
            # A write to a full disk does not say to which file. In the text, as Ray Data (2.60)
            # puts remarks of its own into the place of the file's name.
            raise OSError(error.errno, f"{error.strerror}: {path}") from error
        raise


def write_text(uri: str, text: str) -> None:
    write_bytes(uri, text.encode("utf-8"))


def write_json(uri: str, value: Any) -> None:
    write_text(uri, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def write_parquet(uri: str, table: pa.Table) -> None:
    write_bytes(uri, parquet_bytes(table))


def parquet_bytes(table: pa.Table) -> bytes:
    """The content of a Parquet file of these rows."""
    sink = pa.BufferOutputStream()
    # Parquet has no checksum by default: a flipped bit would be another number.
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def names_in(uri: str) -> list[str]:
    """Names of the files and folders directly in a folder."""
    fs, path = filesystem(uri)
    return sorted(found.rstrip("/").split("/")[-1] for found in call(fs, "ls", path, False))


def names_starting_with(uri: str, patience_s: float = PATIENCE_S) -> list[str]:
    """Names of the files and folders whose URI begins with `uri`, in one request on S3 (which names
    no folders, and at most a thousand files)."""
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
    """All files below a folder, as paths relative to it, in sorted order, from behind `after` on.
    On S3 they come as they are listed, a thousand at a time."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        yield from s3.list_keys(fs, path, after)
        return
    prefix = path.rstrip("/") + "/"
    for found in sorted(call(fs, "find", path)):
        if found[len(prefix) :] > after:
            yield found[len(prefix) :]


def list_sizes(uri: str) -> dict[str, int]:
    """The number of bytes of every file below a folder, by its path relative to it, in sorted
    order."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        return dict(s3.list_sizes(fs, path))
    prefix = path.rstrip("/") + "/"
    found = call(fs, "find", path, detail=True)
    return {name[len(prefix) :]: int(found[name]["size"]) for name in sorted(found)}


def delete(uri: str) -> None:
    """Remove a file or folder if it is there."""
    fs, path = filesystem(uri)
    if s3.is_s3(uri):
        s3.delete_objects(fs, path)
    elif fs.exists(path):
        fs.rm(path, recursive=True)
