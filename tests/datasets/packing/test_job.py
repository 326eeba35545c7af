"""The pack job as it is run: killed, done again, on S3, and what a run makes of the packed set."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.errors import UserError
from gist_ray.images.decode import fetch
from gist_ray.operate.clean import find_garbage
from gist_ray.operate.status import read_status
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.settings.configs import CONFIGS
from gist_ray.store import storage
from tests.datasets.ingesting import ingest

pytestmark = pytest.mark.ray

WITHOUT_URI = ["image_id", "label", "class_name", "split", "attributes"]


def pack(out: object, data: DataConfig, **values: object) -> dict[str, int]:
    """Packs; returns the counts of the packed set."""
    from gist_ray.datasets.packing.job import pack_job
    from gist_ray.run.run_job import run_job

    run_job(pack_job(PackConfig(out=str(out), data=data, **values)))
    return storage.read_json(f"{out}/artifact.json")["counts"]


def packed_parts(out: Path) -> list[Path]:
    """The stored rows of the stage that packs, a file for each shard."""
    return sorted(out.glob("artifacts/packed/*/parts/*.parquet"))


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that the shards and the manifest are."""
    files = [folder / "manifest.parquet", *folder.glob("shards/*.parquet")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


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
    # names of the listing were needed only while it was read
    (rows,) = (tmp_path / "out" / "artifacts" / "packing_rows").iterdir()
    assert {path.name for path in rows.iterdir()} == {"artifact.json", "rows"}

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
    with pytest.raises(UserError, match=r"another packed set is kept here \(max_side_px differ\)"):
        pack(tmp_path / "out", data, max_side_px=64)
    made = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.*")}
    assert {file.name for file in made} == {"artifact.json", "manifest.parquet", "pack.json"}
    with monkeypatch.context() as patch:

        def never(*arguments: object) -> None:
            raise AssertionError("work was done")

        patch.setattr("gist_ray.datasets.packing.job.write_rows", never)
        patch.setattr("gist_ray.run.run_job.connect", never)
        assert pack(tmp_path / "out", data, fetch_threads=3) == counts
    assert {file: file.stat().st_mtime_ns for file in made} == made


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
    tmp_path, write_pictures, monkeypatch, capsys
):
    data = DataConfig(layout="image_folder", path=write_pictures(tmp_path / "in", ["a"], 20))
    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def killed(*arguments: object) -> None:
            raise ConnectionError("the machine went away")

        patch.setattr("gist_ray.datasets.packing.packed_set.write_manifest", killed)
        with pytest.raises(ConnectionError):
            pack(out, data, images_per_shard=5)
    assert not (out / "artifact.json").exists()
    made = {f.name: f.stat().st_mtime_ns for f in (out / "shards").iterdir()}
    # as if the store had been busy when the last shard was made
    for part in packed_parts(out):
        (row,) = pq.read_table(part).to_pylist()
        if row["shard"] == "000003":
            busy = {"id": "x", "uri": "x", "stage": "pack", "kind": "throttled", "message": "x"}
            found = pa.Table.from_pylist([{**row, "errors": [busy]}], schema=pq.read_schema(part))
            pq.write_table(found, part)
    # the set is whole with them, and says so each time until they are made anew
    counts = pack(out, data, images_per_shard=5, max_failed_fraction=0.1)
    assert counts["failed"] == {"throttled": 1}
    assert "In 1 shards images failed" in capsys.readouterr().out
    assert len(packed_parts(out)) == 3
    assert {f.name: f.stat().st_mtime_ns for f in (out / "shards").iterdir()} == made
    assert len(ingest(DataConfig(layout="packed", path=str(out)))[0]) == 20
    counts = pack(out, data, images_per_shard=5)
    assert counts == {"rows_in": 20, "rows_ok": 20, "failed": {}}
    now = {f.name: f.stat().st_mtime_ns for f in (out / "shards").iterdir()}
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


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_killed_and_run_again_it_is_the_same_set(tmp_path, write_pictures, capsys):
    root = write_pictures(tmp_path / "in", ["a", "b"], 400)
    words = [f"data.path={root}", "images_per_shard=20", "max_side_px=16", "max_workers=1"]
    killed = job({}, *words, f"out={tmp_path}/out")
    while len(packed_parts(tmp_path / "out")) < 3:
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "out" / "artifact.json").exists()
    with pytest.raises(UserError, match="its packing has not ended"):
        ingest(DataConfig(layout="packed", path=f"{tmp_path}/out"))
    data = DataConfig(layout="image_folder", path=root)
    sizes = {"images_per_shard": 20, "max_side_px": 16, "max_workers": 1}
    pack(tmp_path / "out", data, **sizes)
    (stored,) = re.findall(r"(\d+) shards were already stored", capsys.readouterr().out)
    assert 3 <= int(stored) < 40
    pack(tmp_path / "whole", data, **sizes)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


@pytest.mark.long
@pytest.mark.slow
def test_from_s3_to_s3(s3_environment, tmp_path, write_pictures):
    root = write_pictures("s3://packs/in put", ["train/a", "train/b", "test/a", "test/b"], 6)
    words = [f"data.path='{root}'", "out='s3://packs/out put'", "images_per_shard=7"]
    packing = job(s3_environment, *words)
    said, _ = packing.communicate()
    assert packing.returncode == 0, said
    assert "testing" not in json.dumps(storage.read_json("s3://packs/out put/artifact.json"))
    unpacked, _ = ingest(DataConfig(layout="image_folder", path=root))
    packed, _ = ingest(DataConfig(layout="packed", path="s3://packs/out put"))
    assert packed.select(WITHOUT_URI) == unpacked.select(WITHOUT_URI)
    for row, source in zip(packed.to_pylist(), unpacked.to_pylist(), strict=True):
        assert fetch(row["uri"], 10**6) == fetch(source["uri"], 10**6)
    nothing = DataConfig(layout="image_folder", path="s3://packs/nothing")
    with pytest.raises(UserError, match="the data set is not there"):
        pack("s3://packs/other", nothing)


def test_a_plan_writes_nothing_and_says_what_is_wrong(tmp_path, write_pictures, capsys):
    from gist_ray.datasets.packing.job import pack_job
    from gist_ray.run.run_job import run_job

    data = DataConfig(layout="image_folder", path=write_pictures(tmp_path / "in", ["a"], 2))
    run_job(pack_job(PackConfig(out=f"{tmp_path}/out", data=data)), plan_only=True)
    assert "pack shards" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    missing = DataConfig(layout="image_folder", path=f"{tmp_path}/nowhere")
    with pytest.raises(UserError, match="the data set is not there"):
        pack_job(PackConfig(out=f"{tmp_path}/out", data=missing))
    storage.write_json(f"{tmp_path}/out/runs/leaves/plan.json", {"command": "run"})
    with pytest.raises(UserError, match=r"something else is kept here \(leaves\)"):
        pack_job(PackConfig(out=f"{tmp_path}/out", data=data))


@pytest.mark.usefixtures("ray_local")
def test_status_clean_and_retry_failed_know_a_pack(tmp_path, write_pictures, monkeypatch):
    from gist_ray.operate.retry_run import retry_run

    data = DataConfig(layout="image_folder", path=write_pictures(tmp_path / "in", ["a"], 4))
    root = f"{tmp_path}/out"
    with monkeypatch.context() as patch:

        def killed(*arguments: object) -> None:
            raise ConnectionError("the machine went away")

        patch.setattr("gist_ray.datasets.packing.packed_set.write_manifest", killed)
        with pytest.raises(ConnectionError):
            pack(root, data, images_per_shard=2)
    run = read_status(root, "pack")
    assert (run.state, [(s.name, s.state) for s in run.stages]) == (
        "failed",
        [("read rows", "stored"), ("pack shards", "stored")],
    )
    assert find_garbage(root) == []
    retry_run(root, "pack", {"throttled"}, plan_only=False)
    assert read_status(root, "pack").state == "finished"
    packed, _ = ingest(DataConfig(layout="packed", path=root))
    assert len(packed) == 4


def test_a_submitted_pack_does_not_write_into_the_copy_of_the_code(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(UserError, match="out=packed: in a submitted job"):
        pack("packed", DataConfig(layout="image_folder", path=str(tmp_path)))
