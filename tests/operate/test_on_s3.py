"""The same on S3, where there are neither renames nor folders."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gist_ray.operate.clean import find_garbage, remove
from gist_ray.operate.inventory import made_from, places
from gist_ray.operate.status import read_status
from gist_ray.run.acquire import acquire
from gist_ray.run.heartbeat import PROGRESS_FILE, Heartbeat
from gist_ray.run.lease import read_lease
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.store import folders, s3, storage
from tests.conftest import s3_environment


@pytest.fixture(scope="module")
def bucket(s3_endpoint: str) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment(s3_endpoint).items():
            patch.setenv(name, value)
        s3.filesystem().clear_instance_cache()
        files = s3.filesystem()
        files.call_s3("create_bucket", Bucket="operated")
        yield "s3://operated"
        s3.delete_objects(files, "operated")
        files.clear_instance_cache()


@pytest.fixture
def on_s3(bucket: str, at: Any, request: pytest.FixtureRequest) -> Any:
    at.root = f"{bucket}/{request.node.name}"
    return at


def test_leases_come_and_go(on_s3: Any) -> None:
    progress = Progress()
    folder = f"{on_s3.root}/artifacts/fake/a"
    run = acquire(f"{on_s3.root}/runs/a/alive.json", lambda message: None)
    with (
        Heartbeat(progress, run=run, interval_s=0.05) as heartbeat,
        heartbeat.hold("a", folder),
        progress.running("a", "fake", folder),
    ):
        progress.rows("a", 10, "rows").add(4)
        while (read_lease(f"{folder}/{PROGRESS_FILE}") or {}).get("done") != 4:
            pass
    assert list(storage.list_files(on_s3.root)) == []


def test_status_and_clean(on_s3: Any, make_stage: Callable[..., Stage]) -> None:
    made, begun, orphan = map(make_stage, ["embed images", "finetune", "orphan"])
    on_s3.make(made)
    on_s3.begin(begun, silent_s=100, done=4, total=10)
    on_s3.make(orphan)
    on_s3.plan("tiny", made, begun, silent_s=100)
    status = read_status(on_s3.root, "tiny")
    assert status is not None
    assert status.state == "dead"
    assert [stage.state for stage in status.stages] == ["stored", "dead"]
    assert read_status(on_s3.root, "none") is None
    (found,) = find_garbage(on_s3.root)
    assert found.place == ("fake", orphan.fingerprint)
    assert found.num_bytes > 100
    remove(on_s3.root, [found])
    assert set(places(on_s3.root)) == {("fake", one.fingerprint) for one in (made, begun)}
    assert folders.folders_in(f"{on_s3.root}/nowhere") == []


def test_what_is_made_anew_is_gone_as_a_whole(on_s3: Any, make_stage: Callable[..., Stage]) -> None:
    source = make_stage("source")
    derived = make_stage("derived", source)
    last = make_stage("last", derived)
    for stage in (source, derived, last):
        on_s3.make(stage)
    found = made_from(on_s3.root, [source.fingerprint])
    assert [name for _, name in found] == [derived.fingerprint, last.fingerprint]
    for place in reversed(found):
        on_s3.store.outdate(*place)
    assert places(on_s3.root) == [("fake", source.fingerprint)]
    # One that was cut short is finished by the next writer.
    folder = on_s3.begin(derived)
    storage.write_json(f"{folder}/outdated.json", {})
    on_s3.writer(derived)
    assert not storage.exists(folder)
