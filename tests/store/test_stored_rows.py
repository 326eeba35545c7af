"""Parts and the indexes beside them: what is read, and what counts after a kill or damage."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter, contradiction_of
from gist_ray.store.stored_rows import finished_ids, forget_failed

pytestmark = pytest.mark.usefixtures("rows_inline")

ROWS = pa.table({"id": [f"n{n}" for n in range(20)], "n": range(20)})
WELL = [name for name in ROWS["id"].to_pylist() if name != "n13"]


def run(root: Path, rows_per_part: int = 5, unlucky: str = "n13") -> Artifact:
    """ROWS stored in this process; thirteen is an error."""
    writer = new_writer(root)

    def work(block: pa.Table) -> pa.Table:
        kinds = ["unlucky" if name == unlucky else "" for name in block["id"].to_pylist()]
        return block.append_column("error_kind", [kinds]).append_column("error_message", [kinds])

    run_rows(
        ROWS,
        id_column="id",
        steps=[Step(make=lambda: work, batch_format="pyarrow")],
        schema=ROWS.schema,
        writer=writer,
        rows_per_part=rows_per_part,
        unit="numbers",
        progress=Progress(),
    )
    return writer.publish(0)


def new_writer(root: Path) -> ArtifactWriter:
    return ArtifactStore(str(root)).writer("numbers", "count", {}, inputs={})


def unpublished(root: Path) -> Path:
    """The folder of a stage of which all rows are stored."""
    artifact = run(root)
    storage.delete(artifact.file("artifact.json"))
    return Path(artifact.uri)


def check(artifact: Artifact) -> None:
    """Every row counts once, and all that lies there belongs to what counts."""
    assert sorted(artifact.read()["id"].to_pylist()) == sorted(WELL)
    assert artifact.read()["id"].to_pylist() == artifact.read_ids("id").to_pylist()
    assert artifact.read_errors()["id"].to_pylist() == ["n13"]
    listed = {part[file] for part in artifact.info["parts"] for file in ("file", "ids")}
    stored = set(storage.list_files(artifact.uri))
    assert {name for name in stored if name.startswith(("parts/", "ids/"))} == listed


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Folders of an artifact -> how often a file in them was read."""
    counts: Counter[str] = Counter()
    read = storage.read_parquet

    def counted(uri: str, *arguments: Any, **options: Any) -> pa.Table:
        counts[Path(uri).parent.name] += 1
        return read(uri, *arguments, **options)

    monkeypatch.setattr(storage, "read_parquet", counted)
    return counts


def test_a_stage_does_not_read_what_it_has_stored(tmp_path: Path, reads: Counter[str]) -> None:
    run(tmp_path)
    assert not reads


def test_a_stage_that_goes_on_reads_each_index_once(tmp_path: Path, reads: Counter[str]) -> None:
    unpublished(tmp_path)
    check_later = run(tmp_path)
    assert reads == {"ids": 4, "failed": 1}
    check(check_later)


def test_the_ids_of_an_artifact_are_read_from_its_indexes(
    tmp_path: Path, reads: Counter[str]
) -> None:
    assert run(tmp_path).read_ids("id").type == pa.string()
    assert reads == {"ids": 4}


def test_parts_without_an_index_are_read_by_their_ids(tmp_path: Path, reads: Counter[str]) -> None:
    folder = unpublished(tmp_path)
    shutil.rmtree(folder / "ids")
    artifact = run(tmp_path)
    assert reads == {"parts": 4, "failed": 1}
    assert sorted(artifact.read_ids("id").to_pylist()) == sorted(WELL)
    assert not [part for part in artifact.info["parts"] if "ids" in part]


def test_a_part_that_was_cut_short_is_named_though_its_index_is_whole(tmp_path: Path) -> None:
    part = sorted((unpublished(tmp_path) / "parts").iterdir())[0]
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{part.name}: this part of an artifact is damaged"):
        run(tmp_path)


def test_a_part_that_is_missing_is_made_again_though_its_index_is_there(tmp_path: Path) -> None:
    sorted((unpublished(tmp_path) / "parts").iterdir())[0].unlink()
    check(run(tmp_path))


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_damaged_index_is_not_used(content: bytes, tmp_path: Path) -> None:
    index = sorted((unpublished(tmp_path) / "ids").iterdir())[0]
    index.write_bytes(content)
    artifact = run(tmp_path)
    assert sorted(artifact.read_ids("id").to_pylist()) == sorted(WELL)
    assert not index.exists()
    assert len([part for part in artifact.info["parts"] if "ids" in part]) == 3


def test_an_index_of_a_part_of_another_size_is_not_used(tmp_path: Path) -> None:
    """As when a task that Ray runs again is killed between the two."""
    folder = unpublished(tmp_path)
    part = sorted((folder / "parts").iterdir())[0]
    pq.write_table(pq.read_table(part), part, compression="none")
    assert sorted(finished_ids(new_writer(tmp_path), "id").to_pylist()) == sorted([*WELL, "n13"])
    assert sorted(run(tmp_path).read_ids("id").to_pylist()) == sorted(WELL)


class Killed(BaseException):
    """As kill -9: nothing that would tidy up runs after it."""


def test_a_kill_between_any_two_writes_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = storage.write_bytes, 0

    def dying_write(uri: str, data: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        write(uri, data)

    for dies_at in range(12):
        root = tmp_path / str(dies_at)
        with monkeypatch.context() as patch:
            patch.setattr(storage, "write_bytes", dying_write)
            left = dies_at
            try:
                run(root)
            except Killed:
                pass
            else:
                break
        check(run(root, rows_per_part=4))  # in other blocks than before
    assert dies_at == 11  # four parts with an index each, two files of errors, artifact.json


def test_repeated_rows_are_left_out_without_reading_the_other_parts(
    tmp_path: Path, reads: Counter[str]
) -> None:
    folder = unpublished(tmp_path)
    first, second = sorted((folder / "parts").iterdir())[:2]
    rows = pa.concat_tables([pq.read_table(second).slice(0, 2), pq.read_table(first).slice(0, 1)])
    pq.write_table(rows, folder / "parts" / "zz.parquet")
    artifact = run(tmp_path)
    # zz's ids, and the two that are written again without what zz has
    assert reads == {"ids": 4, "failed": 1, "parts": 3}
    assert sorted(artifact.read()["id"].to_pylist()) == sorted(WELL)
    assert artifact.counts == {"rows_in": 20, "rows_ok": 19, "failed": {"unlucky": 1}}
    left = {name for name in storage.list_files(str(folder)) if "/" in name}
    listed = {part[file] for part in artifact.info["parts"] for file in part if file != "rows"}
    assert {name for name in left if not name.startswith("failed/")} == listed


def test_failures_that_are_forgotten_are_worked_on_again(tmp_path: Path) -> None:
    run(tmp_path)
    forget_failed(new_writer(tmp_path), pa.array(["n13"]))
    assert sorted(finished_ids(new_writer(tmp_path), "id").to_pylist()) == sorted(WELL)
    assert run(tmp_path, unlucky="").counts["failed"] == {}


def test_an_index_outside_the_folder_is_refused(tmp_path: Path) -> None:
    info = run(tmp_path).info
    info["parts"][0]["ids"] = "../../x.parquet"
    assert "outside its folder" in contradiction_of(info, "numbers", info["fingerprint"])
