"""Runs a Ray Data stage over the rows of a table so that a killed run loses only what was in
flight.

Every block of rows becomes one part file, written whole by the task that made it and named by the
ids inside, so a task that Ray retries overwrites its own file. A later run reads which ids are
done from the indexes beside the part files and works on the rest. This takes the place of Ray
Data's own checkpoint (beta): it needs no spare CPUs on resume, works for any plan, and a finished
job is simply one with no rows left.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data
import ray.data.exceptions

from gist_ray.errors import UserError
from gist_ray.run import cluster
from gist_ray.run.progress import Progress
from gist_ray.schema import ERRORS, table
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.store.stored_rows import StoredFile, collect, finished_ids, store_errors, store_rows

MAX_WRITERS = 8

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
"""The files that a block was stored in, as the driver has to know them (`StoredFile`)."""


def run_rows(
    rows: pa.Table,
    *,
    id_column: str,
    transform: Callable[[ray.data.Dataset], ray.data.Dataset],
    schema: pa.Schema,
    writer: ArtifactWriter,
    rows_per_part: int,
    unit: str,
    progress: Progress,
    tokens_column: str | None = None,
    here: Callable[[pa.Table], pa.Table] | None = None,
) -> None:
    """Apply `transform` to every row once and store what comes out in `writer`.

    Args:
        rows: one row per unit of work; `id_column` is unique in it.
        transform: from a dataset with the columns of `rows` to one with the columns of `schema`
            (which holds `id_column`) and the strings `error_kind` and `error_message`, "" where
            the row is well. It must keep every id.
        rows_per_part: rows per block and so per part file, and the most that a crash redoes per
            worker.
        unit: what a row is ("images"), for the progress lines.
        tokens_column: a column of `schema` to sum up and show as tokens/s.
        here: from a block to what `transform` makes of its rows, in this process. For rows so few
            that to start processes would take longer than the work.

    Raises:
        UserError: if ids repeat in `rows`, a stored part is damaged, rows did not come out, or
            nothing went forward for cluster.PATIENCE_S.
    """
    ids = rows.column(id_column)
    if pc.count_distinct(ids).as_py() != len(rows):
        raise UserError(f"{writer.stage}: the column {id_column} of its input has repeated values.")
    done = finished_ids(writer, id_column)
    todo = rows.filter(pc.invert(pc.is_in(ids, value_set=done))) if len(done) else rows
    already = len(rows) - len(todo)
    meter = progress.rows(writer.stage, len(rows), unit, already)
    if already:
        progress.say(writer.stage, f"{already:,} {unit} were already stored")
    if len(todo):
        blocks = [
            todo.slice(at, rows_per_part).combine_chunks()
            for at in range(0, len(todo), rows_per_part)
        ]
        of_writer = (writer.uri, writer.stage, id_column, schema, tokens_column)
        stored: Iterable[pa.Table]
        if here is not None:
            store = _PartWriter(*of_writer)
            stored = (store(here(block)) for block in blocks)
        else:
            stored = _on_cluster(blocks, transform, of_writer)
        for row in (row for of_block in stored for row in of_block.to_pylist()):
            tokens = row.pop("tokens")
            file = _file_of(row)
            writer.stored[file.name] = file
            failed = Counter(file.errors.column("kind").to_pylist())
            meter.add(len(file.ids), failed, **({"tokens": tokens} if tokens_column else {}))
    collect(writer, rows, id_column)


def _on_cluster(
    blocks: Sequence[pa.Table],
    transform: Callable[[ray.data.Dataset], ray.data.Dataset],
    of_writer: tuple[Any, ...],
) -> Iterator[pa.Table]:
    """Yields STORED of each block once it is stored."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.execution_no_progress_timeout_s = cluster.PATIENCE_S
    # Ray's own exception loses what is behind it on its way here, such as a full disk.
    context.raise_original_map_exception = True
    written = transform(ray.data.from_arrow(list(blocks))).map_batches(
        _PartWriter,
        fn_constructor_args=of_writer,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=MAX_WRITERS),
        num_cpus=0.5,
    )
    try:
        yield from written.iter_batches(batch_size=None, batch_format="pyarrow")
    except ray.data.exceptions.ExecutionTimeoutError as error:
        raise cluster.no_capacity(of_writer[1]) from error


class _PartWriter:
    """Stores what came out of a block; tells of the files as STORED.

    An actor and no task: its process starts beside the encoder's. A task's would start with the
    first block that is done, and all that is computed until it is up would be lost with the driver.
    """

    def __init__(
        self, uri: str, stage: str, id_column: str, schema: pa.Schema, tokens_column: str | None
    ) -> None:
        self.uri, self.stage, self.schema = uri, stage, schema
        self.id_column, self.tokens_column = id_column, tokens_column

    def __call__(self, block: pa.Table) -> pa.Table:
        if not len(block):  # its columns may be missing
            return STORED.empty_table()
        is_ok = pc.equal(block.column("error_kind"), "")
        ok, failed = block.filter(is_ok), block.filter(pc.invert(is_ok))
        stored = []
        if len(failed):
            has_uri = "uri" in failed.column_names
            errors = pa.table(
                {
                    "id": failed.column(self.id_column),
                    "uri": failed.column("uri") if has_uri else [""] * len(failed),
                    "stage": [self.stage] * len(failed),
                    "kind": failed.column("error_kind"),
                    "message": failed.column("error_message"),
                }
            ).cast(ERRORS)
            stored.append(_row_of(store_errors(self.uri, errors), 0))
        if len(ok):
            part = ok.select(self.schema.names).cast(self.schema)
            tokens = pc.sum(ok.column(self.tokens_column)).as_py() if self.tokens_column else 0
            stored.append(_row_of(store_rows(self.uri, part, self.id_column), tokens or 0))
        return pa.Table.from_pylist(stored, schema=STORED)


def _row_of(file: StoredFile, tokens: int) -> dict[str, Any]:
    """A row of STORED."""
    as_lists = {"ids": file.ids.to_pylist(), "errors": file.errors.to_pylist()}
    return {**vars(file), **as_lists, "tokens": tokens}


def _file_of(row: Mapping[str, Any]) -> StoredFile:
    as_arrow = {"ids": pa.array(row["ids"], pa.string()), "errors": table(row["errors"], ERRORS)}
    return StoredFile(**{**row, **as_arrow})
