"""Local folders, s3:// and memory:// behind one filesystem, and files that appear whole or not
at all.

Credentials, region and endpoint of S3 come from the environment (AWS_PROFILE, AWS_ENDPOINT_URL,
an instance role ...) and never from a config.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
from fsspec.spec import AbstractFileSystem

UNFINISHED = ".tmp"
ABANDONED_AFTER_S = 60


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """The filesystem of `uri` and the path in it. Made anew in every process that needs it."""
    if is_local(uri):
        return fsspec.filesystem("file"), absolute(uri)
    # not by fsspec's url_to_fs: a file may be called a::b.jpg, which it would read as a chain
    kind = fsspec.get_filesystem_class(uri.split("://")[0])
    # Other processes write too, so a listing that was kept would soon be wrong.
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


def exists(uri: str) -> bool:
    fs, path = filesystem(uri)
    return fs.exists(path)


def why_missing(uri: str) -> str:
    """ "" if there is a file or folder at `uri`, else what is wrong with it."""
    try:
        return "" if exists(uri) else "there is no such file or folder"
    except (OSError, ValueError, ImportError, BotoCoreError) as error:
        return f"cannot be reached ({error})"


def why_unwritable(uri: str) -> str:
    """ "" if files can be made below `uri`, which need not be there yet, else what hinders it."""
    try:
        fs, path = filesystem(uri)
        if is_local(uri):
            while not os.path.exists(path):
                path = os.path.dirname(path)
            allowed = os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)
            return "" if allowed else f"{path} is no folder that this user may write to"
        top = path.lstrip("/").split("/")[0]
        return "" if uri.startswith("memory://") or fs.exists(top) else f"there is no bucket {top}"
    except (OSError, ValueError, ImportError, BotoCoreError) as error:
        return f"cannot be reached ({error})"


def is_folder(uri: str) -> bool:
    fs, path = filesystem(uri)
    return fs.isdir(path)


def read_bytes(uri: str) -> bytes:
    fs, path = filesystem(uri)
    return fs.cat_file(path)


def read_text(uri: str) -> str:
    return read_bytes(uri).decode("utf-8-sig")


def read_json(uri: str) -> Any:
    return json.loads(read_text(uri))


def read_parquet(uri: str, columns: list[str] | None = None) -> pa.Table:
    fs, path = filesystem(uri)
    with fs.open(path, "rb") as file:
        return pq.read_table(file, columns=columns, page_checksum_verification=True)


def write_bytes(uri: str, data: bytes) -> None:
    """Write a file that readers see whole or not at all.

    Local: a temporary file beside it, then a rename. S3 and memory: an object appears only when
    it is complete.
    """
    fs, path = filesystem(uri)
    if not is_local(uri):
        fs.pipe_file(path, data)
        return
    with _appearing_whole(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def write_new(uri: str, data: bytes) -> bool:
    """Write a small file unless there is one; False where there is. Of several that try at once,
    one succeeds, as far as the endpoint honours If-None-Match (AWS S3 does)."""
    fs, path = filesystem(uri)
    try:
        if is_local(uri):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(data)
        else:
            fs.pipe_file(path, data, mode="create")
    except FileExistsError:
        return False
    return True


def put_file(path: str, uri: str) -> None:
    """Copy a local file to `uri`, which readers see whole or not at all."""
    fs, remote = filesystem(uri)
    if not is_local(uri):
        fs.put_file(path, remote)
        return
    with _appearing_whole(remote) as temporary:
        shutil.copyfile(path, temporary)


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
            # A write to a full disk does not say to which file.
            raise OSError(error.errno, error.strerror, path) from error
        raise


def write_text(uri: str, text: str) -> None:
    write_bytes(uri, text.encode("utf-8"))


def write_json(uri: str, value: Any) -> None:
    write_text(uri, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def write_parquet(uri: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    # Parquet has no checksum by default: a flipped bit would be another number.
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_bytes(uri, sink.getvalue().to_pybytes())


def list_files(uri: str) -> Iterator[str]:
    """All files below a folder, as paths relative to it, in sorted order."""
    fs, path = filesystem(uri)
    prefix = path.rstrip("/") + "/"
    for found in sorted(fs.find(path)):
        yield found[len(prefix) :]


def delete_unfinished(uri: str) -> None:
    """Remove what processes that were killed had begun to write below a folder: temporary files
    that nobody has written to for a while."""
    if not is_local(uri):
        return
    for file in Path(absolute(uri)).rglob(f"*{UNFINISHED}"):
        with suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > ABANDONED_AFTER_S:
                file.unlink()


def list_folders(uri: str) -> list[str]:
    """Names of the folders in a folder, sorted; none where it is not there."""
    fs, path = filesystem(uri)
    try:
        found = fs.ls(path, detail=True)
    except FileNotFoundError:
        return []
    return sorted(
        entry["name"].rstrip("/").rsplit("/", 1)[-1]
        for entry in found
        if entry["type"] == "directory"
    )


def delete(uri: str) -> None:
    """Remove a file or folder if it is there."""
    fs, path = filesystem(uri)
    if fs.exists(path):
        fs.rm(path, recursive=True)
