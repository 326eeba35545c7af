"""Runs a stage over the rows of a table; a killed run loses only the blocks in work.

Every block of rows becomes one part file, written whole by the process that made it and named by
the ids inside, so a block that is worked on again overwrites its own file. A later run reads which
ids are done from the indexes beside the part files and works on the rest. This takes the place of
Ray Data's own checkpoint (beta): it needs no spare CPUs on resume, works for any plan, and a
finished job is simply one with no rows left. Nor does it matter where a block is worked on: small
stages run in a warm worker, and leave the same files as on Ray Data.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.run.on_ray_data import Transform, on_ray_data, pipeline
from gist_ray.run.part_writer import PartWriter, stored_files_of
from gist_ray.run.placement import Spread
from gist_ray.run.progress import Progress
from gist_ray.run.step import Step
from gist_ray.run.warm_rows import in_warm_worker
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.store.stored_rows import collect, finished_ids


def run_rows(
    rows: pa.Table,
    *,
    id_column: str,
    steps: Sequence[Step] = (),
    transform: Transform | None = None,
    schema: pa.Schema,
    writer: ArtifactWriter,
    rows_per_part: int,
    unit: str,
    progress: Progress,
    tokens_column: str | None = None,
) -> None:
    """Works on every row once and stores what comes out in `writer`.

    Args:
        rows: one row per unit of work; `id_column` is unique in it.
        steps: lead from batches with the columns of `rows` to batches with the columns of `schema`
            (which holds `id_column`) and the strings `error_kind` and `error_message`, "" where
            the row is well. They keep every id. The last one is the one that computes: its
            max_workers say whether one process is enough.
        transform: in the place of steps, a function of a dataset that does the same. It always
            runs on Ray Data.
        rows_per_part: rows per block and so per part file, and the most that a crash redoes per
            worker.
        unit: what a row is ("images"), for the progress lines.
        tokens_column: a column of `schema` to sum up and show as tokens/s.

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
    meter = progress.rows(writer.stage, len(rows), unit, already=already)
    if already:
        progress.say(writer.stage, f"{already:,} {unit} were already stored")
    store = PartWriter(
        uri=writer.uri,
        stage=writer.stage,
        id_column=id_column,
        schema=schema,
        tokens_column=tokens_column,
    )
    blocks = [
        todo.slice(at, rows_per_part).combine_chunks() for at in range(0, len(todo), rows_per_part)
    ]
    if transform is None:
        stored_of_blocks = _by_steps(blocks, steps, rows_per_part=rows_per_part, store=store)
    else:
        stored_of_blocks = on_ray_data(blocks, transform, store)
    for stored in stored_of_blocks:
        for file, tokens in stored_files_of(stored):
            writer.stored[file.name] = file
            failed = Counter(file.errors.column("kind").to_pylist())
            meter.add(len(file.ids), failed, None, **({"tokens": tokens} if tokens_column else {}))
    collect(writer, rows, id_column)


def _by_steps(
    blocks: Sequence[pa.Table], steps: Sequence[Step], *, rows_per_part: int, store: PartWriter
) -> Iterator[pa.Table]:
    """Yields STORED of each block once it is stored: from a warm worker, and from Ray Data for the
    blocks that do not fit one."""
    spread = Spread(
        rows_per_part=rows_per_part,
        gpus=max(step.gpus for step in steps),
        max_workers=steps[-1].max_workers,
    )
    num_blocks = 0
    for stored in in_warm_worker(blocks, steps, spread=spread, store=store):
        num_blocks += 1
        yield stored
    yield from on_ray_data(blocks[num_blocks:], pipeline(steps, rows_per_part), store)
