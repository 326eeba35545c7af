"""Rows in a warm worker: the same files as on Ray Data, also after a death."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.run import placement
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.store.artifacts import Artifact, ArtifactStore

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]

Batch = dict[str, Any]

VECTORS = pa.schema(
    [("id", pa.string()), ("vector", pa.list_(pa.float32(), 2)), ("num_words", pa.int64())]
)
ROWS = pa.table({"id": [f"n{n}" for n in range(23)], "n": range(23), "uri": ["/u"] * 23})


@pytest.fixture(scope="module", autouse=True)
def known_to_workers() -> None:
    """Workers cannot import this file, so its functions travel whole."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def halved(folder: str, deadly: int) -> Callable[[Batch], Batch]:
    """Notes each block below the folder; its process dies once, in the block of row `deadly`."""

    def halve(batch: Batch) -> Batch:
        mark = Path(folder, "died")
        if deadly in batch["n"] and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(folder, f"{os.getpid()} {batch['n'][0]}").open("a") as file:
            file.write("x")
        return {**batch, "half": batch["n"] / 2}

    return halve


class Pairs:
    """Makes vectors; thirteen is an error."""

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def __call__(self, batch: Batch) -> Batch:
        kinds = ["unlucky" if half == 6.5 else "" for half in batch["half"]]
        return {
            "id": batch["id"],
            "uri": batch["uri"],
            "vector": np.stack([batch["half"], self.sign * batch["half"]], axis=1),
            "num_words": [3] * len(kinds),
            "error_kind": kinds,
            "error_message": [kind and "no thirteen" for kind in kinds],
        }


def run(root: Path, deadly: int = -1, max_workers: int = 1, rows: pa.Table = ROWS) -> Artifact:
    """max_workers: two are of Ray Data."""
    blocks = root / "blocks"
    blocks.mkdir(parents=True, exist_ok=True)
    writer = ArtifactStore(str(root)).writer("vectors", "halve", {}, inputs={})
    run_rows(
        rows,
        id_column="id",
        steps=[
            Step(make=halved, args=(str(blocks), deadly)),
            Step(make=Pairs, args=(-1,), batch_size=3, max_workers=max_workers),
        ],
        schema=VECTORS,
        writer=writer,
        rows_per_part=5,
        unit="numbers",
        progress=Progress(interval_s=0),
        tokens_column="num_words",
    )
    return writer.publish(0)


def files_of(artifact: Artifact) -> dict[str, bytes]:
    """The bytes of parts, indexes and errors, by name."""
    folder = Path(artifact.uri)
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.parquet")}


def blocks_of(root: Path) -> dict[str, list[int]]:
    """{pid: the first rows of the blocks that the process worked on}"""
    found: dict[str, list[int]] = {}
    for file in (root / "blocks").iterdir():
        if file.name != "died":
            pid, first = file.name.split()
            found.setdefault(pid, []).extend([int(first)] * len(file.read_text()))
    return {pid: sorted(firsts) for pid, firsts in found.items()}


@pytest.fixture(scope="module")
def on_ray_data(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return run(tmp_path_factory.mktemp("ray_data"), max_workers=2)


def test_the_files_are_those_of_ray_data(
    on_ray_data: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = run(tmp_path)
    assert files_of(artifact) == files_of(on_ray_data)
    assert len(artifact.info["parts"]) == 5
    assert artifact.info["parts"] == on_ray_data.info["parts"]
    assert artifact.counts == {"rows_in": 23, "rows_ok": 22, "failed": {"unlucky": 1}}
    assert list(blocks_of(tmp_path).values()) == [[0, 5, 10, 15, 20]]
    last = capsys.readouterr().out.splitlines()[-1]
    assert "23/23 numbers" in last
    assert "tokens/s" in last
    assert "1 failed" in last


def test_after_a_kill_the_block_alone_is_worked_on_again(
    on_ray_data: Artifact, tmp_path: Path
) -> None:
    artifact = run(tmp_path, deadly=12)
    assert (tmp_path / "blocks" / "died").exists()
    assert sorted(blocks_of(tmp_path).values()) == [[0, 5], [10, 15, 20]]
    assert files_of(artifact) == files_of(on_ray_data)


def test_a_run_goes_on_from_what_is_stored(
    on_ray_data: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = run(tmp_path, rows=ROWS.slice(0, 10))
    Path(some.uri, "artifact.json").unlink()
    artifact = run(tmp_path)
    assert files_of(artifact) == files_of(on_ray_data)
    assert sorted(n for blocks in blocks_of(tmp_path).values() for n in blocks) == [
        *(0, 5),
        *(10, 15, 20),
    ]
    assert "10 numbers were already stored" in capsys.readouterr().out


def test_the_rest_of_costly_work_goes_to_ray_data(
    on_ray_data: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "START_S", -1.0)
    artifact = run(tmp_path)
    assert files_of(artifact) == files_of(on_ray_data)
    by_process = blocks_of(tmp_path)
    assert [0] in by_process.values()
    assert sorted(n for blocks in by_process.values() for n in blocks) == [0, 5, 10, 15, 20]
