"""A file on S3 of which only the byte ranges that are asked for are read."""

import io
from typing import Any

from gist_ray.store import s3
from gist_ray.store.retry import patiently

TAIL_BYTES = 64 * 1024
"""Read by the first request. Arrow looks for the footer of a Parquet file in as many of its last
bytes. A file that is not larger is whole by then; of a larger one, such as a part of 512 embeddings
(1 MiB), the tail is a small share, and takes less time than the request itself."""


class RangedFile(io.RawIOBase):
    """What Arrow needs to read a Parquet file on S3 range by range.

    Each range is one request, retried as `retry` says. Raises s3.ChangedError if the file is
    replaced between two of them.
    """

    def __init__(self, files: Any, path: str) -> None:
        """files, path: as `storage.filesystem` gives them."""
        super().__init__()
        self._files, self._path = files, path
        self._tail = patiently(lambda s: s3.read_tail(files, path, s, num_bytes=TAIL_BYTES))
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._tail.num_bytes}
        self._place = starts[whence] + offset
        return self._place

    def read(self, size: int = -1) -> bytes:
        num_bytes, tail = self._tail.num_bytes, self._tail.data
        start, end = self._place, num_bytes
        if size >= 0:
            end = min(start + size, num_bytes)
        self._place = end
        before_tail = num_bytes - len(tail)
        if start >= before_tail:
            return tail[start - before_tail : end - before_tail]
        return patiently(
            lambda s: s3.read_of_version(
                self._files, self._path, s, span=(start, end), etag=self._tail.etag
            )
        )
