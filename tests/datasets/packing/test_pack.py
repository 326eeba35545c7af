"""The pack job as it is run: killed, done again, on S3, and what a run makes of the packed set."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.errors import UserError
from gist_ray.images.decode import fetch
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.settings.configs import CONFIGS
from gist_ray.store import storage

pytestmark = pytest.mark.ray

WITHOUT_URI = ["image_id", "label", "class_name", "split", "attributes"]


def pack(out: object, data: DataConfig, **values: object) -> dict[str, int]:
    from gist_ray.datasets.packing.stage import run_pack

    return run_pack(PackConfig(out=str(out), data=data, **values)).counts


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that the shards and the manifest are."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.parquet")}
    assert "manifest.parquet" in found
    return found


@pytest.mark.usefixtures("ray_local")
def test_a_packed_set_is_the_data_set_it_was_made_of(tmp_path, write_pictures):
    root = write_pictures(tmp_path / "in", ["a-b", "a", "ü c"], 17)
    storage.write_bytes(f"{root}/a/empty.jpg", b"")
    data = DataConfig(layout="image_folder", path=root, seed=4)
    counts = pack(tmp_path / "out", data, images_per_shard=10, max_failed_fraction=0.1)
    assert counts == {"rows_in": 52, "rows_ok": 51, "failed": {"empty": 1}}
    unpacked, _ = ingest(data)
    packed, _ = ingest(DataConfig(layout="packed", path=f"{tmp_path}/out"))
    assert packed.select(WITHOUT_URI) == unpacked.select(WITHOUT_URI)
    references = packed.column("uri").to_pylist()
    assert [uri for uri in references if "/out/shards/" not in uri] == [f"{root}/a/empty.jpg"]
    for uri, source in zip(references, unpacked.column("uri").to_pylist(), strict=True):
        if "empty" not in source:
            assert fetch(uri, 10**6) == Path(source).read_bytes()
    assert not (tmp_path / "out" / "work").exists()

    # as any table is read
    table = DataConfig(
        layout="manifest",
        path=f"{tmp_path}/out/manifest.parquet",
        image_column="uri",
        id_column="image_id",
    )
    same = ["image_id", "uri", "label", "class_name", "split"]
    assert ingest(table)[0].select(same) == packed.select(same)

    # moved as a whole, it is the same set
    (tmp_path / "out").rename(tmp_path / "moved")
    moved, _ = ingest(DataConfig(layout="packed", path=f"{tmp_path}/moved"))
    assert fetch(moved.column("uri")[0].as_py(), 10**6)


@pytest.mark.usefixtures("ray_local")
def test_a_second_run_does_nothing_and_another_pack_is_refused(
    tmp_path, write_pictures, monkeypatch
):
    data = DataConfig(layout="image_folder", path=write_pictures(tmp_path / "in", ["a"], 5))
    counts = pack(tmp_path / "out", data)
    with pytest.raises(UserError, match=r"something else is packed here \(max_side_px differ\)"):
        pack(tmp_path / "out", data, max_side_px=64)
    with monkeypatch.context() as patch:

        def never(*arguments: object) -> None:
            raise AssertionError("work was done")

        patch.setattr("gist_ray.datasets.packing.stage.write_source", never)
        patch.setattr("gist_ray.datasets.packing.stage.connect", never)
        assert pack(tmp_path / "out", data, fetch_threads=3) == counts


@pytest.mark.usefixtures("ray_local")
def test_too_many_bad_images_are_the_end_each_time(tmp_path, write_pictures):
    root = write_pictures(tmp_path / "in", ["a"], 5)
    storage.write_bytes(f"{root}/a/empty.jpg", b"")
    data = DataConfig(layout="image_folder", path=root)
    for _ in range(2):
        with pytest.raises(TooManyFailedRowsError, match=r"pack: 1 of 6 rows failed \(empty: 1\)"):
            pack(tmp_path / "out", data)
    errors = pq.read_table(tmp_path / "out" / "errors.parquet").to_pylist()
    assert [(row["uri"], row["kind"]) for row in errors] == [(f"{root}/a/empty.jpg", "empty")]


@pytest.mark.usefixtures("ray_local")
def test_errors_that_may_pass_are_tried_again_and_only_their_shards(
    tmp_path, write_pictures, monkeypatch
):
    data = DataConfig(layout="image_folder", path=write_pictures(tmp_path / "in", ["a"], 20))
    with monkeypatch.context() as patch:

        def killed(*arguments: object) -> None:
            raise ConnectionError("the machine went away")

        patch.setattr("gist_ray.datasets.packing.stage.write_manifest", killed)
        with pytest.raises(ConnectionError):
            pack(tmp_path / "out", data, images_per_shard=5)
    # as if the store had been busy when the last shard was made
    for part in (tmp_path / "out" / "work" / "parts").glob("*.parquet"):
        (row,) = pq.read_table(part).to_pylist()
        if row["shard"] == "000003":
            busy = {"id": "x", "uri": "x", "stage": "pack", "kind": "throttled", "message": "x"}
            found = pa.Table.from_pylist([{**row, "errors": [busy]}], schema=pq.read_schema(part))
            pq.write_table(found, part)
    made = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out" / "shards").iterdir()}
    counts = pack(tmp_path / "out", data, images_per_shard=5)
    assert counts == {"rows_in": 20, "rows_ok": 20, "failed": {}}
    now = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out" / "shards").iterdir()}
    assert [name for name in sorted(now) if now[name] != made[name]] == ["000003.parquet"]


def job(environment: dict[str, str], *words: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(CONFIGS.parent / "jobs" / "pack.py"), *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_killed_and_run_again_it_is_the_same_set(tmp_path, write_pictures):
    root = write_pictures(tmp_path / "in", ["a", "b"], 400)
    words = [f"data.path={root}", "images_per_shard=20", "max_side_px=16", "max_workers=1"]
    killed = job({}, *words, f"out={tmp_path}/out")
    shards = tmp_path / "out" / "shards"
    deadline = time.monotonic() + 300
    while len(list(shards.glob("*.parquet"))) < 3:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "out" / "artifact.json").exists()
    with pytest.raises(UserError, match="its packing has not ended"):
        ingest(DataConfig(layout="packed", path=f"{tmp_path}/out"))
    parts = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out/work/parts").glob("*.parquet")}
    again = job({}, *words, f"out={tmp_path}/out")
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert f"{len(parts)} shards were already stored" in said
    whole = job({}, *words, f"out={tmp_path}/whole")
    assert whole.wait(timeout=300) == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_from_s3_to_s3(s3_environment, tmp_path, write_pictures):
    root = write_pictures("s3://packs/in put", ["train/a", "train/b", "test/a", "test/b"], 6)
    words = [f"data.path='{root}'", "out='s3://packs/out put'", "images_per_shard=7"]
    packing = job(s3_environment, *words)
    said, _ = packing.communicate(timeout=300)
    assert packing.returncode == 0, said
    assert "testing" not in json.dumps(storage.read_json("s3://packs/out put/artifact.json"))
    unpacked, _ = ingest(DataConfig(layout="image_folder", path=root))
    packed, _ = ingest(DataConfig(layout="packed", path="s3://packs/out put"))
    assert packed.select(WITHOUT_URI) == unpacked.select(WITHOUT_URI)
    for row, source in zip(packed.to_pylist(), unpacked.to_pylist(), strict=True):
        assert fetch(row["uri"], 10**6) == fetch(source["uri"], 10**6)
    nothing = job(s3_environment, "data.path=s3://packs/nothing", "out=s3://packs/other")
    said, _ = nothing.communicate(timeout=300)
    assert nothing.returncode == 2
    assert "the data set is not there" in said


def test_a_submitted_pack_does_not_write_into_the_copy_of_the_code(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(UserError, match="out=packed: in a submitted job"):
        pack("packed", DataConfig(layout="image_folder", path=str(tmp_path)))
