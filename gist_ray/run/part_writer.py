"""Stores blocks of finished rows as part files, in the process that made the rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.schema import ERRORS, table
from gist_ray.store.stored_rows import StoredFile, store_errors, store_rows

STORED = pa.schema(
    [
        ("name", pa.string()),
        ("num_bytes", pa.int64()),
        ("ids", pa.list_(pa.string())),
        ("errors", pa.list_(pa.struct(list(ERRORS)))),
        ("index", pa.string()),
        ("tokens", pa.int64()),
    ]
)
"""Schema of the files that a block was stored in (`StoredFile`)."""


@dataclass(frozen=True, kw_only=True)
class PartWriter:
    """The folder and the schema of a stage's stored rows. It is picklable."""

    uri: str
    """The folder of the artifact."""

    stage: str
    id_column: str
    schema: pa.Schema
    """Of the parts; holds `id_column`."""

    tokens_column: str | None = None
    """A column to sum up."""

    def __call__(self, block: pa.Table) -> pa.Table:
        """Stores a block with the columns of `schema`, error_kind and error_message; returns the
        files as STORED."""
        if not len(block):  # its columns may be missing
            return STORED.empty_table()
        is_ok = pc.equal(block.column("error_kind"), "")
        ok, failed = block.filter(is_ok), block.filter(pc.invert(is_ok))
        stored = []
        if len(failed):
            stored.append(_row_of(store_errors(self.uri, self._errors(failed)), 0))
        if len(ok):
            part = ok.select(self.schema.names).cast(self.schema)
            tokens = pc.sum(ok.column(self.tokens_column)).as_py() if self.tokens_column else 0
            stored.append(_row_of(store_rows(self.uri, part, self.id_column), tokens or 0))
        return pa.Table.from_pylist(stored, schema=STORED)

    def _errors(self, failed: pa.Table) -> pa.Table:
        has_uri = "uri" in failed.column_names
        return pa.table(
            {
                "id": failed.column(self.id_column),
                "uri": failed.column("uri") if has_uri else [""] * len(failed),
                "stage": [self.stage] * len(failed),
                "kind": failed.column("error_kind"),
                "message": failed.column("error_message"),
            }
        ).cast(ERRORS)


def stored_files_of(stored: pa.Table) -> list[tuple[StoredFile, int]]:
    """Returns each file of a STORED table, and the tokens in it."""
    return [(_file_of(row), row["tokens"]) for row in stored.to_pylist()]


def _row_of(file: StoredFile, tokens: int) -> dict[str, Any]:
    """Returns a row of STORED."""
    as_lists = {"ids": file.ids.to_pylist(), "errors": file.errors.to_pylist()}
    return {**vars(file), **as_lists, "tokens": tokens}


def _file_of(row: Mapping[str, Any]) -> StoredFile:
    fields = {name: value for name, value in row.items() if name != "tokens"}
    as_arrow = {"ids": pa.array(row["ids"], pa.string()), "errors": table(row["errors"], ERRORS)}
    return StoredFile(**{**fields, **as_arrow})
