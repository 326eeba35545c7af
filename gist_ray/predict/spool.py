"""Tables kept in a temporary file on the local disk until they are read again."""

import os
import tempfile
import weakref
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq


class Spool:
    """A temporary file of this machine that holds tables. It has no name, so nothing of it remains
    after the process, however that ends.

    It has no name, so that nothing is left of it, however the process ends.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as this object lives)
        weakref.finalize(self, self._file.close)

    def keep(self, table: pa.Table) -> Callable[[], pa.Table]:
        """Appends a table; returns a function that reads it in any thread."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        start, num_bytes = self._file.tell(), sink.tell()
        self._file.write(sink.getvalue())
        self._file.flush()

        def read() -> pa.Table:
            # pread, for threads that share a file share its position too
            data = os.pread(self._file.fileno(), num_bytes, start)
            return pq.read_table(pa.BufferReader(data))

        return read
