"""The record of a run, while it goes on and when it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.errors import LeaseLostError
from gist_ray.run.flow import run_flow
from gist_ray.run.heartbeat import PROGRESS_FILE, Heartbeat
from gist_ray.run.job import Job
from gist_ray.run.lease import file_of
from gist_ray.run.progress import Progress
from gist_ray.run.record import recorded
from gist_ray.run.stage import Stage
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter


@dataclass
class FakeConfig:
    name: str = "tiny"


Work = Callable[[ArtifactWriter, Progress], None]


def stage(name: str, work: Work | None = None, *sources: Stage) -> Stage:
    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        if work:
            work(writer, progress)
        writer.write(pa.table({"n": [1, 2, 3]}))

    return Stage(
        name=name,
        kind="fake",
        group=f"group of {name}",
        identity={"name": name},
        run=run,
        inputs={source.name: source for source in sources},
    )


def job(store: ArtifactStore, *stages: Stage) -> Job:
    return Job(
        command="fake",
        name="tiny",
        config=FakeConfig(),
        root=store.root,
        stages=stages,
        finish=lambda store, done: (),
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


def run(store: ArtifactStore, *stages: Stage, **options: Any) -> None:
    progress = Progress()
    with recorded(job(store, *stages), progress, **options) as heartbeat:
        run_flow(stages, store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat)


def in_folder(store: ArtifactStore, name: str) -> Any:
    return storage.read_json(f"{store.root}/runs/tiny/{name}")


def test_the_record_is_there_from_the_start(store: ArtifactStore) -> None:
    seen: dict[str, Any] = {}

    def look(writer: ArtifactWriter, progress: Progress) -> None:
        seen["plan"] = in_folder(store, "plan.json")
        seen["lease"] = in_folder(store, "alive.json")
        seen["config"] = storage.read_text(f"{store.root}/runs/tiny/config.yaml")
        seen["held"] = storage.read_json(writer.file(PROGRESS_FILE))

    first, second = stage("first", look), stage("not wanted")
    progress = Progress()
    with recorded(
        job(store, first, second), progress, wanted={"first"}, until="first"
    ) as heartbeat:
        run_flow([first], store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat)
    assert seen["config"] == "name: tiny\n"
    assert [(row["name"], row["wanted"]) for row in seen["plan"]["stages"]] == [
        ("first", True),
        ("not wanted", False),
    ]
    assert seen["plan"]["command"] == "fake"
    assert seen["plan"]["stages"][0]["group"] == "group of first"
    assert seen["plan"]["stages"][0]["fingerprint"] == first.fingerprint
    assert seen["plan"]["until"] == "first"
    assert seen["held"]["name"] == "first"
    assert seen["held"]["pid"] == seen["lease"]["pid"]
    # leases end with the run
    left = set(storage.list_files(store.root))
    assert not any(name.endswith((PROGRESS_FILE, "alive.json")) for name in left)


def test_metrics_of_a_finished_run(store: ArtifactStore) -> None:
    def work(writer: ArtifactWriter, progress: Progress) -> None:
        meter = progress.rows(writer.stage, 3, "texts")
        meter.add(3, {}, {"loss": 0.5}, tokens=30)

    a = stage("a")
    run(store, a)
    run(store, a, stage("b", work, a), hardware=lambda: {"CPU": 4.0})
    metrics = in_folder(store, "metrics.json")
    assert metrics["outcome"] == "finished"
    assert metrics["started"] == in_folder(store, "plan.json")["started"]
    assert metrics["ended"] >= metrics["started"]
    assert metrics["peak_driver_mib"] > 10
    assert metrics["hardware"] == {"CPU": 4.0}
    assert metrics["environment"]["python"]
    found, made = metrics["stages"]
    assert (found["name"], found["state"], found["rows_ok"]) == ("a", "stored", 3)
    assert (made["name"], made["state"], made["unit"]) == ("b", "made", "texts")
    assert made["tokens"] == 30
    # too short for a rate
    assert made["rate"] is None
    assert "tokens_per_s" not in made
    assert made["values"] == {"loss": 0.5}


@pytest.mark.parametrize(
    ("error", "outcome", "message"),
    [
        (ConnectionError("gone"), "failed", "ConnectionError: gone"),
        (KeyboardInterrupt(), "interrupted", ""),
        (SystemExit(15), "interrupted", ""),
    ],
)
def test_metrics_of_a_run_that_broke(
    store: ArtifactStore, error: BaseException, outcome: str, message: str
) -> None:
    def work(writer: ArtifactWriter, progress: Progress) -> None:
        progress.rows(writer.stage, 10, "images").add(4, {"network": 1})
        raise error

    a = stage("a")
    b = stage("b", work, a)
    with pytest.raises(type(error)):
        run(store, a, b, stage("c", None, b))
    metrics = in_folder(store, "metrics.json")
    assert (metrics["outcome"], metrics["message"]) == (outcome, message)
    assert [row["state"] for row in metrics["stages"]] == ["made", "failed", "missing"]
    assert metrics["stages"][1]["failed"] == {"network": 1}
    assert metrics["stages"][1]["done"] == 4


def test_two_processes_do_not_make_the_same_artifact_at_once(
    store: ArtifactStore, tmp_path: Path
) -> None:
    """The second finds what the first has made by the time that it may begin."""
    a = stage("a")
    made = stage("a").run
    writer = a.writer(store)
    mark = writer.file(PROGRESS_FILE)
    other = {"machine": "another", "updated": 9e12, "host": "far", "pid": 1}
    storage.write_json(mark, other)
    progress = Progress()
    say = progress.say

    def once_it_waits(name: str, message: str) -> None:
        say(name, message)
        if "process 1 on far" in message:
            made({}, writer, Progress())
            writer.publish(1.0)
            storage.delete(mark)

    progress.say = once_it_waits  # type: ignore[method-assign]
    with Heartbeat(progress, interval_s=0.01) as heartbeat:
        done = run_flow([a], store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat)
    assert done["a"].was_stored
    assert progress.stages() == []


def test_the_record_of_a_run_that_was_taken_over_is_left_to_its_successor(
    store: ArtifactStore,
) -> None:
    theirs = {"machine": "another", "updated": 9e12, "host": "far", "pid": 1}

    def work(writer: ArtifactWriter, progress: Progress) -> None:
        lease = f"{store.root}/runs/tiny/alive.json"
        storage.write_json(file_of(lease, 2), theirs)

    progress = Progress()
    a = stage("a", work)
    with (  # noqa: PT012
        pytest.raises(LeaseLostError, match="process 1 on far has taken over"),
        recorded(job(store, a), progress, listeners=[]) as heartbeat,
    ):
        run_flow([a], store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat)
        heartbeat.lost.exception()
    left = set(storage.list_files(f"{store.root}/runs/tiny"))
    assert left == {"config.yaml", "plan.json", "alive.json", "alive.2.json"}
