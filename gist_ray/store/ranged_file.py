"""A file on S3 that is read by byte ranges."""

import io
from typing import Any

from gist_ray.store import s3
from gist_ray.store.retry import patiently

TAIL_BYTES = 64 * 1024
"""Number of last bytes that the first request reads. Arrow looks for the footer of a Parquet file
in as many. A smaller file is read completely by this request; of a larger one, such as a part of
512 embeddings (1 MiB), the tail is a small share and takes less time than the request itself."""


class RangedFile(io.RawIOBase):
    """A seekable file from which Arrow reads a Parquet file on S3 range by range.

    Each range is one request, retried as `retry` describes. `read` raises s3.ChangedError if the
    file was replaced after it was opened.
    """

    def __init__(self, files: Any, path: str) -> None:
        """Reads the last TAIL_BYTES. files, path: as `storage.filesystem` returns them."""
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
