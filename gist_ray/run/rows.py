"""Runs a Ray Data stage over the rows of a table so that a killed run loses only what was in
flight.

Every block of rows becomes one part file, written whole by the task that made it and named by the
ids inside, so a task that Ray retries overwrites its own file. A later run reads which ids are
done from the part files and works on the rest. This takes the place of Ray Data's own checkpoint
(beta): it needs no spare CPUs on resume, works for any plan, and a finished job is simply one
with no rows left.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray
import ray.data
import ray.data.exceptions

from gist_ray.errors import UserError
from gist_ray.run import cluster
from gist_ray.run.progress import Progress
from gist_ray.schema import ERRORS, stable_id
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter, read_part

PARTS = "parts"
FAILED = "failed"
MAX_WRITERS = 8


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
        stored: Iterator[dict[str, Any]]
        if here is not None:
            store = _PartWriter(*of_writer)
            stored = (row for block in blocks for row in store(here(block)).to_pylist())
        else:
            stored = _on_cluster(blocks, transform, of_writer)
        for part in stored:
            extra = {"tokens": part["tokens"]} if tokens_column else {}
            failed = json.loads(part["failed"])
            meter.add(part["ok"] + sum(failed.values()), failed, **extra)
    _collect(writer, rows, id_column)


def _on_cluster(
    blocks: Sequence[pa.Table],
    transform: Callable[[ray.data.Dataset], ray.data.Dataset],
    of_writer: tuple[Any, ...],
) -> Iterator[dict[str, Any]]:
    """Yields what is counted of each block once it is stored."""
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
        yield from written.iter_rows()
    except ray.data.exceptions.ExecutionTimeoutError as error:
        raise cluster.no_capacity(of_writer[1]) from error


class _PartWriter:
    """Stores what came out of a block, and counts it.

    An actor and no task: its process starts beside the encoder's. A task's would start with the
    first block that is done, and all that is computed until it is up would be lost with the driver.
    """

    def __init__(
        self, uri: str, stage: str, id_column: str, schema: pa.Schema, tokens_column: str | None
    ) -> None:
        self.uri, self.stage, self.schema = uri, stage, schema
        self.id_column, self.tokens_column = id_column, tokens_column

    def __call__(self, block: pa.Table) -> pa.Table:
        if not len(block):
            return pa.table({"ok": [0], "failed": ["{}"], "tokens": [0]})
        is_ok = pc.equal(block.column("error_kind"), "")
        ok, failed = block.filter(is_ok), block.filter(pc.invert(is_ok))
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
            storage.write_parquet(f"{self.uri}/{FAILED}/{_name(errors.column('id'))}", errors)
        if len(ok):
            part = pa.table(
                [ok.column(name) for name in self.schema.names], names=self.schema.names
            )
            storage.write_parquet(
                f"{self.uri}/{PARTS}/{_name(ok.column(self.id_column))}", part.cast(self.schema)
            )
        tokens = pc.sum(ok.column(self.tokens_column)).as_py() or 0 if self.tokens_column else 0
        kinds = json.dumps(Counter(failed.column("error_kind").to_pylist()))
        return pa.table({"ok": [len(ok)], "failed": [kinds], "tokens": [tokens]})


def _name(ids: pa.ChunkedArray) -> str:
    return f"{stable_id(json.dumps(ids.to_pylist()))}.parquet"


def forget_failed(writer: ArtifactWriter, ids: pa.Array) -> None:
    """Strike rows off the stored failures, so that the next `run_rows` works on them again."""
    for name in _files(writer):
        if not name.startswith(FAILED):
            continue
        errors = read_part(writer.uri, name)
        is_other = pc.invert(pc.is_in(errors.column("id"), value_set=ids))
        rest = errors.filter(is_other)
        if len(rest) == len(errors):
            continue
        if len(rest):
            storage.write_parquet(writer.file(f"{FAILED}/{_name(rest.column('id'))}"), rest)
        storage.delete(writer.file(name))


def finished_ids(writer: ArtifactWriter, id_column: str) -> pa.Array:
    """The ids of the rows that are stored, well or failed."""
    found = [pa.array([], pa.string())]
    for name in _files(writer):
        column = "id" if name.startswith(FAILED) else id_column
        found.append(read_part(writer.uri, name, [column]).column(column).combine_chunks())
    return pa.concat_arrays(found)


def _files(writer: ArtifactWriter) -> list[str]:
    if not storage.exists(writer.uri):
        return []
    names = storage.list_files(writer.uri)
    return [n for n in names if n.startswith((PARTS, FAILED)) and n.endswith(".parquet")]


def _collect(writer: ArtifactWriter, rows: pa.Table, id_column: str) -> None:
    """Count every part in and check that each row came out exactly once."""
    asked, out = rows.column(id_column).combine_chunks(), finished_ids(writer, id_column)
    if len(out) > pc.count_distinct(out).as_py():
        _leave_repeats_out(writer, id_column)
    out = pa.concat_arrays([pa.array([], pa.string()), *_count_in(writer, id_column)])
    missing = len(rows) - pc.sum(pc.is_in(asked, value_set=out)).as_py() if len(rows) else 0
    unknown = len(out) - pc.sum(pc.is_in(out, value_set=asked)).as_py() if len(out) else 0
    if missing or unknown:
        raise UserError(
            f"{writer.stage}: {missing} rows are missing and {unknown} are not of this input. "
            f"Delete the folder {writer.uri} and run again."
        )


def _count_in(writer: ArtifactWriter, id_column: str) -> Iterator[pa.Array]:
    """Count in every file but the leftovers; yields their ids."""
    for name in _files(writer):
        if name in writer.leftovers:
            continue
        if name.startswith(FAILED):
            errors = read_part(writer.uri, name)
            writer.add_errors(errors)
            yield errors.column("id").combine_chunks()
        else:
            part = read_part(writer.uri, name, [id_column])
            writer.add_part(name, len(part))
            yield part.column(id_column).combine_chunks()


def _leave_repeats_out(writer: ArtifactWriter, id_column: str) -> None:
    """See to it that every row is in one file that counts, well rather than failed.

    A row is in two files where a task that Ray ran again could read an image that it could not
    read before, or where the last tasks of a killed run wrote while the next one had begun and
    put the same row into another block.
    """
    seen: set[str] = set()
    rewritten = set()
    for name in sorted(_files(writer), reverse=True):  # what is well before what failed
        part = read_part(writer.uri, name)
        ids = part.column("id" if name.startswith(FAILED) else id_column)
        is_new = [one not in seen for one in ids.to_pylist()]
        seen.update(ids.to_pylist())
        if all(is_new):
            continue
        writer.leftovers.add(name)
        rest = part.filter(pa.array(is_new))
        if len(rest):
            kept = f"{name.split('/')[0]}/{_name(ids.filter(pa.array(is_new)))}"
            storage.write_parquet(writer.file(kept), rest)
            rewritten.add(kept)
    writer.leftovers -= rewritten
