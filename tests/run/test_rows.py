import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]

SQUARES = pa.schema([("id", pa.string()), ("square", pa.int64()), ("num_words", pa.int64())])
ROWS = pa.table({"id": [f"n{n}" for n in range(20)], "n": list(range(20)), "uri": ["/u"] * 20})

Batch = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def known_to_workers() -> None:
    """Workers cannot import this file, so its functions travel whole."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def square(batch: Batch) -> Batch:
    """Thirteen is an error."""
    return {
        **batch,
        "square": batch["n"] ** 2,
        "num_words": [3] * len(batch["n"]),
        "error_kind": ["unlucky" if n == 13 else "" for n in batch["n"]],
        "error_message": ["no thirteen" if n == 13 else "" for n in batch["n"]],
    }


def run(
    writer: ArtifactWriter,
    work: Callable[[Batch], Batch] = square,
    rows: pa.Table = ROWS,
) -> Artifact:
    from gist_ray.run.rows import run_rows

    run_rows(
        rows,
        id_column="id",
        transform=lambda dataset: dataset.map_batches(work, batch_size=None),
        schema=SQUARES,
        writer=writer,
        rows_per_part=5,
        unit="numbers",
        progress=Progress(interval_s=0),
        tokens_column="num_words",
    )
    return writer.publish(0)


def new_writer(root: Path) -> ArtifactWriter:
    return ArtifactStore(str(root)).writer("squares", "square", {}, inputs={})


def test_every_row_comes_out_once_good_or_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = run(new_writer(tmp_path))
    squares = {row["id"]: row["square"] for row in artifact.read().to_pylist()}
    assert squares == {f"n{n}": n * n for n in range(20) if n != 13}
    assert artifact.counts == {"rows_in": 20, "rows_ok": 19, "failed": {"unlucky": 1}}
    error = {"id": "n13", "uri": "/u", "stage": "square", "kind": "unlucky"}
    assert artifact.read_errors().to_pylist() == [{**error, "message": "no thirteen"}]
    last = capsys.readouterr().out.splitlines()[-1]
    assert "20/20 numbers" in last
    assert "tokens/s" in last
    assert "1 failed" in last


def test_a_run_that_died_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen, may_pass = tmp_path / "seen", tmp_path / "may_pass"
    seen.mkdir()

    def fragile(batch: Batch) -> Batch:
        if 17 in batch["n"] and not may_pass.exists():
            # The other blocks first, so that there is something to go on from.
            deadline = time.monotonic() + 60
            while len(stored_parts(tmp_path)) < 3 and time.monotonic() < deadline:
                time.sleep(0.05)
            raise RuntimeError("out of memory")
        for n in batch["n"]:
            with (seen / str(n)).open("a") as file:
                file.write("x")
        return square(batch)

    with pytest.raises(Exception, match="out of memory"):
        run(new_writer(tmp_path), fragile)
    assert len(stored_parts(tmp_path)) == 3
    (stored_parts(tmp_path)[0].parent / "abc.parquet.123.tmp").write_bytes(b"PAR1")
    may_pass.touch()
    artifact = run(new_writer(tmp_path), fragile)
    assert artifact.counts["rows_in"] == 20
    assert {file.name: file.read_text() for file in seen.iterdir()} == {
        str(n): "x" for n in range(20)
    }
    assert "15 numbers were already stored" in capsys.readouterr().out


def test_nothing_runs_where_all_is_stored(tmp_path: Path) -> None:
    def never(batch: Batch) -> Batch:
        raise RuntimeError("ran again")

    run(new_writer(tmp_path))
    assert run(new_writer(tmp_path), never).counts["rows_ok"] == 19


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="square: the column id of its input has repeated values"):
        run(new_writer(tmp_path), rows=pa.concat_tables([ROWS, ROWS]))


def test_a_part_that_was_cut_short_is_named(tmp_path: Path) -> None:
    run(new_writer(tmp_path))
    part = stored_parts(tmp_path)[0]
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{part.name}: this part of an artifact is damaged"):
        run(new_writer(tmp_path))


def test_parts_of_other_rows_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    run(new_writer(tmp_path))
    with pytest.raises(UserError, match="0 rows are missing and 15 are not"):
        run(new_writer(tmp_path), rows=ROWS.slice(0, 5))


def test_a_row_that_two_runs_wrote_in_other_company_counts_once(tmp_path: Path) -> None:
    """As when the last tasks of a killed run write while the next one has begun, or a task that
    is run again can read what it could not read before."""
    run(new_writer(tmp_path))
    folder = stored_parts(tmp_path)[0].parent
    first = pq.read_table(folder / stored_parts(tmp_path)[0].name)
    inside = first.slice(1, 2)
    overlapping = pa.concat_tables([first.slice(3), rows_of(folder, "n11").slice(0, 1)])
    pq.write_table(inside, folder / "inside.parquet")
    pq.write_table(overlapping, folder / "zz.parquet")
    failed = folder.parent / "failed"
    once = pq.read_table(next(failed.iterdir()))
    ids = pa.array(["n13", inside["id"][0].as_py()])
    errors = {**{name: pa.repeat(once[name][0], 2) for name in once.column_names}, "id": ids}
    pq.write_table(pa.table(errors).cast(once.schema), failed / "old.parquet")
    orphan = folder / "abc.parquet.123.tmp"
    orphan.write_bytes(b"PAR1")
    os.utime(orphan, (0, 0))
    next(tmp_path.glob("artifacts/squares/*/artifact.json")).unlink()

    artifact = run(new_writer(tmp_path))
    read = artifact.read().to_pylist()
    assert sorted(row["id"] for row in read) == sorted(f"n{n}" for n in range(20) if n != 13)
    assert artifact.read_errors()["id"].to_pylist() == ["n13"]
    assert artifact.counts == {"rows_in": 20, "rows_ok": 19, "failed": {"unlucky": 1}}
    listed = {part["file"] for part in artifact.info["parts"]}
    assert listed == {f"parts/{file.name}" for file in folder.iterdir()}
    again = run(new_writer(tmp_path))
    assert (again.counts, again.info["parts"]) == (artifact.counts, artifact.info["parts"])


def rows_of(folder: Path, name: str) -> pa.Table:
    """The stored part that holds a row."""
    tables = [pq.read_table(file) for file in sorted(folder.glob("*.parquet"))]
    return next(table for table in tables if name in table["id"].to_pylist())


def test_work_that_finds_no_capacity_is_given_up_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gist_ray.run import cluster
    from gist_ray.run.rows import run_rows

    monkeypatch.setattr(cluster, "PATIENCE_S", 3)
    with pytest.raises(UserError, match=r"square: nothing went forward for 3 s\. The cluster now"):
        run_rows(
            ROWS,
            id_column="id",
            transform=lambda dataset: dataset.map_batches(square, num_cpus=1000),
            schema=SQUARES,
            writer=new_writer(tmp_path),
            rows_per_part=5,
            unit="numbers",
            progress=Progress(),
        )


def stored_parts(root: Path) -> list[Path]:
    return sorted(root.glob("artifacts/squares/*/parts/*.parquet"))
