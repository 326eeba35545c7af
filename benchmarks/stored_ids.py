"""The ids of a finished stage on S3: from the indexes beside its parts, and by downloading them.

Bare is what this program did before it had indexes: every part is downloaded whole, one after
another, for its column of ids, and three times where a stage goes on. Both read the same parts from
a server that speaks S3 (moto) on loopback, by turns. Bytes are those of files, without listings.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.packing import CREDENTIALS, s3_server
from benchmarks.record import parser, record, say_table, spread
from gist_ray import schema
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.store import s3, storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter
from gist_ray.store.read_ahead import read_ahead
from gist_ray.store.stored_rows import collect, store_rows

ID = "image_id"
GOES_ON = "a stage goes on, all its rows are stored"
INDEXED = "ids of a finished stage"
OLDER = "the same, parts without an index"
PASSES_BEFORE = 3


def write_stage(root: str, num_rows: int, dim: int, rows_per_part: int) -> Artifact:
    """A finished stage of random vectors."""
    writer = new_writer(root)
    rng = np.random.default_rng(0)

    def blocks() -> Iterator[Callable[[], Any]]:
        for start in range(0, num_rows, rows_per_part):
            ids = row_ids(start, min(num_rows, start + rows_per_part))
            vectors = pa.array(rng.standard_normal(len(ids) * dim, np.float32))
            columns = [ids, pa.FixedSizeListArray.from_arrays(vectors, dim)]
            rows = pa.table(columns, schema=schema.embeddings(ID, dim))
            yield partial(store_rows, writer.uri, rows, ID)

    for file in read_ahead(blocks()):
        writer.stored[file.name] = file
    collect(writer, pa.table({ID: row_ids(0, num_rows)}), ID)
    return writer.publish(0)


def new_writer(root: str) -> ArtifactWriter:
    return ArtifactStore(root).writer("image_embeddings", "embed images", {}, inputs={})


def row_ids(start: int, end: int) -> pa.Array:
    return pa.array(schema.stable_ids(map(str, range(start, end))))


def go_on(root: str, num_rows: int, rows_per_part: int) -> None:
    """Run the stage again; there is nothing left to do."""

    def never(block: pa.Table) -> pa.Table:
        raise AssertionError(f"{len(block)} rows are worked on again")

    run_rows(
        pa.table({ID: row_ids(0, num_rows)}),
        id_column=ID,
        steps=[Step(make=lambda: never)],
        schema=schema.embeddings(ID, 1),
        writer=new_writer(root),
        rows_per_part=rows_per_part,
        unit="images",
        progress=Progress(interval_s=1e9),
    )


def download(artifact: Artifact) -> pa.Array:
    """The ids, by way of all bytes of each part in turn."""
    found = []
    for part in artifact.info["parts"]:
        data = pa.BufferReader(storage.read_bytes(artifact.file(part["file"])))
        ids = pq.read_table(data, columns=[ID], page_checksum_verification=True)
        found.append(ids.column(ID).combine_chunks())
    return pa.concat_arrays(found)


class Counted:
    """Seconds, bytes and requests of what is done inside."""

    def __enter__(self) -> "Counted":
        self.num_bytes = self.requests = 0
        self._get = s3._get

        def counting(*arguments: Any, **options: Any) -> Any:
            answer, data = self._get(*arguments, **options)
            self.num_bytes += len(data)
            self.requests += 1
            return answer, data

        s3._get = counting
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.perf_counter() - self._start
        s3._get = self._get


def measure(
    root: str, num_rows: int, dim: int, rows_per_part: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """What each reading costs ours and bare: seconds, ratio, MiB and requests."""
    artifact = write_stage(root, num_rows, dim, rows_per_part)
    parts = [{name: part[name] for name in ("file", "rows")} for part in artifact.info["parts"]]
    older = Artifact(artifact.uri, {**artifact.info, "parts": parts})
    turns: dict[str, list[tuple[Counted, Sequence[Counted]]]] = {
        GOES_ON: [],
        INDEXED: [],
        OLDER: [],
    }
    for _ in range(rounds):
        passes = []
        for _ in range(PASSES_BEFORE):
            with Counted() as bare:
                download(artifact)
            passes.append(bare)
        with Counted() as ours:
            go_on(root, num_rows, rows_per_part)
        turns[GOES_ON].append((ours, passes))
        for name, stage in ((INDEXED, artifact), (OLDER, older)):
            with Counted() as ours:
                ids = stage.read_ids(ID)
            assert pc.count_distinct(ids).as_py() == num_rows
            turns[name].append((ours, passes[-1:]))
    return {name: _numbers(of_name) for name, of_name in turns.items()}


def _numbers(turns: Sequence[tuple[Counted, Sequence[Counted]]]) -> dict[str, Any]:
    seconds = [(ours.seconds, sum(bare.seconds for bare in passes)) for ours, passes in turns]
    ours, passes = turns[-1]
    return {
        "ours_s": spread([ours_s for ours_s, _ in seconds]),
        "bare_s": spread([bare_s for _, bare_s in seconds]),
        "ratio": spread([ours_s / bare_s for ours_s, bare_s in seconds]),
        "ours_mib": ours.num_bytes / 2**20,
        "bare_mib": sum(bare.num_bytes for bare in passes) / 2**20,
        "ours_requests": ours.requests,
        "bare_requests": sum(bare.requests for bare in passes),
    }


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--rows", type=int, default=1_000_000)
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--rows-per-part", type=int, default=512)
    sizes.add_argument("--rounds", type=int, default=2)
    args = sizes.parse_args()
    os.environ.update(CREDENTIALS)
    with s3_server() as bucket:
        found = measure(f"{bucket}/root", args.rows, args.dim, args.rows_per_part, args.rounds)
    say_table(
        f"{args.rows:,} vectors of {args.dim} in parts of {args.rows_per_part}",
        ["", "bare: MiB", "requests", "s", "ours: MiB", "requests", "s", "seconds, ours to bare"],
        [
            [
                name,
                f"{row['bare_mib']:,.0f}",
                f"{row['bare_requests']:,}",
                f"{row['bare_s']['median']:.1f}",
                f"{row['ours_mib']:,.1f}",
                f"{row['ours_requests']:,}",
                f"{row['ours_s']['median']:.1f}",
                "{median:.3f} [{min:.3f}, {max:.3f}]".format(**row["ratio"]),
            ]
            for name, row in found.items()
        ],
    )
    record("stored_ids", {"sizes": {**vars(args), "out": None}, **found}, args.out)


if __name__ == "__main__":
    main()
