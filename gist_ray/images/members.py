"""Images inside larger files, read by reference.

    shards/000012.parquet#37            row 37 (from 0), column `bytes`
    data/train-0.parquet#37:image.bytes row 37 of another column
    train-000.tar#1536+20418            20,418 bytes from byte 1,536 on

Any other URI, even with a `#` in it, is that of an ordinary file. A process caches the footers of
the Parquet files that it reads and the last row groups, so that reading rows in their order reads
each row group once.
"""

import io
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gist_ray.store import storage
from gist_ray.store.retry import PATIENCE_S
from gist_ray.store.s3 import TooLargeError

DEFAULT_COLUMN = "bytes"
ROW = re.compile(r"(?P<file>.+\.parquet)#(?P<row>[0-9]+)(:(?P<column>.+))?", re.DOTALL)
RANGE = re.compile(r"(?P<file>.+\.tar)#(?P<offset>[0-9]+)\+(?P<length>[0-9]+)", re.DOTALL)
MAX_FOOTERS = 64
MAX_CACHED_BYTES = 64 * 2**20


class MemberError(Exception):
    """Raised if a reference has no usable bytes; `kind` as in `ImageError`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def row_reference(file: str, row: int, column: str = DEFAULT_COLUMN) -> str:
    return f"{file}#{row}" if column == DEFAULT_COLUMN else f"{file}#{row}:{column}"


def range_reference(file: str, offset: int, length: int) -> str:
    return f"{file}#{offset}+{length}"


def is_member(uri: str) -> bool:
    """Returns whether `uri` refers to an image inside a larger file."""
    return bool(ROW.fullmatch(uri) or RANGE.fullmatch(uri))


def read_member(uri: str, max_bytes: int, patience_s: float = PATIENCE_S) -> bytes:
    """Returns the bytes that a reference names.

    patience_s: as in `storage.read_bytes`. Raises MemberError if the file is damaged or has no such
    row, column or bytes, TooLargeError for more than `max_bytes`, and the errors of storage.
    """
    if found := RANGE.fullmatch(uri):
        length = int(found["length"])
        _check_size(length, max_bytes)
        return _read_range(found["file"], int(found["offset"]), length, patience_s=patience_s)
    found = ROW.fullmatch(uri)
    if found is None:
        raise MemberError("missing", f"{uri} is no reference to a member of a file")
    try:
        data = _cell(found["file"], int(found["row"]), found["column"] or DEFAULT_COLUMN)
    except (pa.ArrowInvalid, OSError) as error:
        # Arrow raises a plain OSError for a wrong checksum; storage raises a subclass or sets errno
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno):
            raise
        raise MemberError("corrupt", f"{found['file']}: a damaged Parquet file: {error}") from error
    if data is None:
        raise MemberError("empty", f"row {found['row']} of {found['file']} holds nothing")
    _check_size(len(data), max_bytes)
    return data


def _read_range(file: str, offset: int, length: int, *, patience_s: float) -> bytes:
    end = offset + length
    data = storage.read_range(file, offset, end, patience_s=patience_s) if length else b""
    if len(data) != length:
        raise MemberError("corrupt", f"{file} ends before byte {end:,}")
    return data


def _check_size(num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise TooLargeError(num_bytes)


def _cell(file: str, row: int, column: str) -> bytes | None:
    with _lock_of(file):
        footer = _footers.get(file) or _read_footer(file)
    if row >= footer.starts[-1]:
        raise MemberError("missing", f"{file} has {footer.starts[-1]} rows and no row {row}")
    group = bisect_right(footer.starts, row) - 1
    key = (file, group, column)
    # one thread reads the row group while the others, which mostly need the same, wait for it
    with _lock_of(key):
        cells = _groups.get(key)
        if cells is None:
            cells = _column_of(footer, group, column)
            _groups.put(key, cells)
    cell: bytes | None = cells[row - footer.starts[group]].as_py()
    return cell


def _column_of(footer: "_Footer", group: int, column: str) -> pa.Array:
    # A ParquetFile is not shared between threads. pre_buffer: one request for the column of a row
    # group, not one for each page.
    with pq.ParquetFile(
        footer.open(),
        metadata=footer.metadata,
        pre_buffer=True,
        page_checksum_verification=True,
    ) as parquet:
        table = parquet.read_row_group(group, columns=[column], use_threads=False)
    if not table.num_columns:
        raise MemberError("missing", f"there is no column {column!r}")
    cells = table.column(0).combine_chunks()
    while pa.types.is_struct(cells.type):
        cells = cells.field(0)
    return cells


class _Ranges(io.RawIOBase):
    """A remote file for Arrow. Every read is one request for a range, with the retries of
    `storage`."""

    def __init__(self, uri: str, size: int) -> None:
        self._uri = uri
        self._size = size
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
    """A least-recently-used cache of row groups, up to MAX_CACHED_BYTES; the last one is kept
    whatever its size."""

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


@dataclass(frozen=True)
class _Footer:
    """The cached footer of a Parquet file."""

    file: str
    size: int
    metadata: pq.FileMetaData
    starts: list[int]
    """The first row of each row group, and the number of rows."""

    def open(self) -> Any:
        return _open(self.file, self.size)


def _open(file: str, size: int) -> Any:
    return storage.absolute(file) if storage.is_local(file) else _Ranges(file, size)


def _read_footer(file: str) -> _Footer:
    size = storage.size(file)
    metadata = pq.read_metadata(_open(file, size))
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    footer = _Footer(file, size, metadata, [0, *accumulate(sizes)])
    with _lock:
        _footers[file] = footer
        while len(_footers) > MAX_FOOTERS:
            _footers.popitem(last=False)
    return footer


def _lock_of(key: Any) -> threading.Lock:
    return _locks[hash(key) % len(_locks)]


_groups = _RowGroups()
_footers: OrderedDict[str, _Footer] = OrderedDict()
_lock = threading.Lock()
_locks = [threading.Lock() for _ in range(256)]
