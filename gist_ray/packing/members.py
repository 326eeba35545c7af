"""Pictures inside larger files, read by reference.

    shards/000012.parquet#37            row 37 (from 0), column `bytes`
    data/train-0.parquet#37:image.bytes row 37 of another column
    train-000.tar#1536+20418            20,418 bytes from byte 1,536 on

Anything else is an ordinary file: a `#` in a name is one of its characters. A process keeps the
footers of the Parquet files that it reads and the last row groups, so that reading rows in their
order fetches each row group once.
"""

import io
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gist_ray import storage
from gist_ray.retry import PATIENCE_S
from gist_ray.s3 import TooLargeError

DEFAULT_COLUMN = "bytes"
ROW = re.compile(r"(?P<file>.+\.parquet)#(?P<row>[0-9]+)(:(?P<column>.+))?", re.DOTALL)
RANGE = re.compile(r"(?P<file>.+\.tar)#(?P<offset>[0-9]+)\+(?P<length>[0-9]+)", re.DOTALL)
MAX_OPEN_FILES = 64
MAX_CACHED_BYTES = 64 * 2**20


class MemberError(Exception):
    """Why a reference gives no bytes; `kind` as in `ImageError`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def row_reference(file: str, row: int, column: str = DEFAULT_COLUMN) -> str:
    return f"{file}#{row}" if column == DEFAULT_COLUMN else f"{file}#{row}:{column}"


def range_reference(file: str, offset: int, length: int) -> str:
    return f"{file}#{offset}+{length}"


def is_member(uri: str) -> bool:
    """Whether `uri` refers to a picture inside a larger file."""
    return bool(ROW.fullmatch(uri) or RANGE.fullmatch(uri))


def read_member(uri: str, max_bytes: int, patience_s: float = PATIENCE_S) -> bytes:
    """The bytes that a reference names.

    patience_s: as in `storage.read_bytes`. Raises MemberError for what the file does not hold,
    TooLargeError, and whatever storage raises.
    """
    if found := RANGE.fullmatch(uri):
        offset, length = int(found["offset"]), int(found["length"])
        return _read_range(found["file"], offset, length, max_bytes, patience_s)
    found = ROW.fullmatch(uri)
    if found is None:
        raise MemberError("missing", f"{uri} is no reference to a member of a file")
    try:
        data = _cell(found["file"], int(found["row"]), found["column"] or DEFAULT_COLUMN)
    except (pa.ArrowInvalid, OSError) as error:
        # Arrow says of a wrong checksum no more than OSError; storage says which error it was
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
            raise
        raise MemberError("corrupt", f"{found['file']}: a damaged Parquet file: {error}") from error
    if data is None:
        raise MemberError("empty", f"row {found['row']} of {found['file']} holds nothing")
    _check_size(len(data), max_bytes)
    return data


def _read_range(file: str, offset: int, length: int, max_bytes: int, patience_s: float) -> bytes:
    _check_size(length, max_bytes)
    data = storage.read_range(file, offset, offset + length, patience_s) if length else b""
    if len(data) != length:
        raise MemberError("corrupt", f"{file} ends before byte {offset + length:,}")
    return data


def _check_size(num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise TooLargeError(num_bytes)


def _cell(file: str, row: int, column: str) -> bytes | None:
    with _opened(file) as (parquet, starts):
        if row >= starts[-1]:
            raise MemberError("missing", f"{file} has {starts[-1]} rows and no row {row}")
        group = bisect_right(starts, row) - 1
        key = (file, group, column)
        cells = _groups.get(key)
        if cells is None:
            cells = _column_of(parquet, group, column)
            _groups.put(key, cells)
    cell: bytes | None = cells[row - starts[group]].as_py()
    return cell


def _column_of(parquet: pq.ParquetFile, group: int, column: str) -> pa.Array:
    table = parquet.read_row_group(group, columns=[column], use_threads=False)
    if not table.num_columns:
        raise MemberError("missing", f"there is no column {column!r}")
    cells = table.column(0).combine_chunks()
    while pa.types.is_struct(cells.type):
        cells = cells.field(0)
    return cells


class _Ranges(io.RawIOBase):
    """A remote file for Arrow: every read is one request for a range, tried again as storage
    does."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._size = storage.size(uri)
        self._place = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        data = storage.read_range(self._uri, self._place, end)
        self._place += len(data)
        return data


class _RowGroups:
    """The row groups that were read last, up to a number of bytes; one stays whatever its size."""

    def __init__(self) -> None:
        self._groups: OrderedDict[Any, pa.Array] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Any) -> pa.Array | None:
        with self._lock:
            if key in self._groups:
                self._groups.move_to_end(key)
            return self._groups.get(key)

    def put(self, key: Any, cells: pa.Array) -> None:
        with self._lock:
            self._groups[key] = cells
            self._bytes += cells.nbytes
            while self._bytes > MAX_CACHED_BYTES and len(self._groups) > 1:
                self._bytes -= self._groups.popitem(last=False)[1].nbytes


_groups = _RowGroups()
_files: OrderedDict[str, tuple[pq.ParquetFile, list[int]]] = OrderedDict()
_file_locks: dict[str, threading.Lock] = {}
_lock = threading.Lock()


@contextmanager
def _opened(file: str) -> Iterator[tuple[pq.ParquetFile, list[int]]]:
    """The Parquet file and where its row groups start, for one thread at a time: the others wait
    for the row group that it fetches, which is mostly the one that they need."""
    with _lock:
        own = _file_locks.setdefault(file, threading.Lock())
    with own:
        found = _files.get(file)
        if found is None:
            # pre_buffer: one request for the column of a row group, not one for each page
            parquet = pq.ParquetFile(
                storage.absolute(file) if storage.is_local(file) else _Ranges(file),
                pre_buffer=True,
                page_checksum_verification=True,
            )
            sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
            found = parquet, [0, *accumulate(sizes)]
            with _lock:
                _files[file] = found
                while len(_files) > MAX_OPEN_FILES:
                    _files.popitem(last=False)
        yield found
