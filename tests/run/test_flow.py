import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from gist_ray.errors import LeaseLostError
from gist_ray.run.flow import NoLeases, TooManyFailedRowsError, run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.resources import Resources
from gist_ray.run.stage import Done, Run, Stage
from gist_ray.schema import ERRORS, table
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter


class FakeWork:
    """Makes stages of one row that note their runs; `together` of them wait for each other, and
    each lingers, so that others would be seen beside it."""

    def __init__(self, together: int = 1, linger_s: float = 0) -> None:
        self.linger_s = linger_s
        self.ran: list[str] = []
        self.meeting = threading.Barrier(together)
        self.running = 0
        self.most_running = 0
        self.lock = threading.Lock()

    def stage(
        self, name: str, *sources: Stage, cpus: float = 1, gpus: float = 0, content: str = ""
    ) -> Stage:
        def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
            with self.lock:
                self.ran.append(name)
                self.running += 1
                self.most_running = max(self.most_running, self.running)
            self.meeting.wait(timeout=10)
            time.sleep(self.linger_s)
            below = sum(artifact.read().column("n")[0].as_py() for artifact in inputs.values())
            writer.write(pa.table({"n": [below + 1]}))
            with self.lock:
                self.running -= 1

        return fake_stage(name, run, *sources, content=content, resources=Resources(cpus, gpus))


def fake_stage(
    name: str, run: Run, *sources: Stage, content: str = "", resources: Resources | None = None
) -> Stage:
    return Stage(
        name=name,
        kind="fake",
        group="fake",
        identity={"content": content or name},
        run=run,
        inputs={source.name: source for source in sources},
        resources=resources or Resources(),
    )


def failing(name: str, *sources: Stage, wait_for: threading.Event | None = None) -> Stage:
    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        if wait_for:
            wait_for.wait(timeout=10)
        raise RuntimeError(f"{name} broke")

    return fake_stage(name, run, *sources)


def half_failed() -> Stage:
    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        writer.write(pa.table({"n": [1]}))
        error = {"id": "a", "uri": "", "stage": "s", "kind": "corrupt", "message": ""}
        writer.add_errors(table([error], ERRORS))

    return fake_stage("half", run)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


def flow(
    store: ArtifactStore,
    *stages: Stage,
    num_cpus: float = 1,
    num_gpus: float = 0,
    allowed: float = 0,
) -> dict[str, Done]:
    return run_flow(
        stages,
        store,
        Progress(),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        max_failed_fraction=allowed,
    )


def test_inputs_come_first_and_what_is_stored_is_not_made_again(store: ArtifactStore) -> None:
    work = FakeWork()
    a = work.stage("a")
    b, c = work.stage("b", a), work.stage("c", a)
    d = work.stage("d", b, c)
    done = flow(store, d, c, b, a)
    assert work.ran[0] == "a"
    assert work.ran[-1] == "d"
    assert done["d"].artifact.read().to_pylist() == [{"n": 5}]
    again = flow(store, a, b, c, d)
    assert len(work.ran) == 4
    assert all(entry.was_stored for entry in again.values())


def test_stages_run_side_by_side_as_far_as_the_cpus_reach(store: ArtifactStore) -> None:
    work = FakeWork(together=2)
    flow(store, *(work.stage(name) for name in "abcd"), num_cpus=2)
    assert work.most_running == 2


def test_a_stage_that_wants_more_than_all_cpus_runs_alone(store: ArtifactStore) -> None:
    work = FakeWork()
    flow(store, work.stage("a"), work.stage("large", cpus=9), work.stage("b"), num_cpus=1)
    assert sorted(work.ran) == ["a", "b", "large"]
    assert work.most_running == 1


def test_stages_take_turns_on_a_gpu(store: ArtifactStore) -> None:
    work = FakeWork(linger_s=0.2)
    flow(store, *(work.stage(name, gpus=1) for name in "abc"), num_cpus=8, num_gpus=1)
    assert work.most_running == 1


@pytest.mark.parametrize(("gpus", "num_gpus"), [((1, 0), 1), ((0.5, 0.5), 1), ((1, 1), 0)])
def test_who_needs_no_gpu_or_a_part_of_one_does_not_wait(
    store: ArtifactStore, gpus: tuple[float, float], num_gpus: float
) -> None:
    """Nor anybody where there is none: "auto" then means none."""
    work = FakeWork(together=2)
    stages = [work.stage(f"wants {n} {gpu}", gpus=gpu) for n, gpu in enumerate(gpus)]
    flow(store, *stages, num_cpus=8, num_gpus=num_gpus)
    assert work.most_running == 2


def test_two_names_of_one_artifact_make_it_once(store: ArtifactStore) -> None:
    work = FakeWork()
    first, second = work.stage("a", content="same"), work.stage("b", content="same")
    done = flow(store, first, second, num_cpus=8)
    assert work.ran == ["a"]
    assert done["b"].was_stored


def test_what_another_run_made_meanwhile_is_taken_and_left_as_it_is(store: ArtifactStore) -> None:
    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        other = stage.writer(store)
        other.write(pa.table({"n": [5]}), "parts/other.parquet")
        other.publish(0)
        writer.leftovers.add("parts/other.parquet")
        writer.write(pa.table({"n": [5]}), "parts/mine.parquet")

    stage = fake_stage("a", run)
    done = run_flow([stage], store, Progress(), num_cpus=1, max_failed_fraction=0)["a"]
    assert done.was_stored
    assert [part["file"] for part in done.artifact.info["parts"]] == ["parts/other.parquet"]
    assert done.artifact.read()["n"].to_pylist() == [5]


def test_when_a_stage_fails_the_running_ones_end_and_the_rest_does_not_start(
    store: ArtifactStore, capsys: pytest.CaptureFixture[str]
) -> None:
    has_failed = threading.Event()

    def slow(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        has_failed.wait(timeout=10)
        writer.write(pa.table({"n": [1]}))

    class FakeProgress(Progress):
        def say(self, stage: str, message: str) -> None:
            super().say(stage, message)
            if message.startswith("failed"):
                has_failed.set()

    work = FakeWork()
    running = fake_stage("slow", slow)
    broken = failing("broken")
    stages = [running, broken, work.stage("never", broken), work.stage("later", running)]
    with pytest.raises(RuntimeError, match="broken broke"):
        run_flow(stages, store, FakeProgress(), num_cpus=2, max_failed_fraction=0)
    assert store.find("fake", running.fingerprint) is not None
    assert work.ran == []
    assert "failed; waiting for 1 running stages to end" in capsys.readouterr().out


def test_too_many_failed_rows_end_the_run_fresh_or_stored(store: ArtifactStore) -> None:
    work = FakeWork()
    half = half_failed()
    for _ in range(2):
        with pytest.raises(TooManyFailedRowsError, match=r"half: 1 of 2 rows.*\(corrupt: 1\)"):
            flow(store, half, work.stage("after", half), allowed=0.4)
    assert work.ran == []
    done = flow(store, half, work.stage("after", half), allowed=0.5)
    assert done["half"].was_stored
    assert work.ran == ["after"]


def test_a_lost_lease_ends_the_flow_and_waits_for_no_stage(store: ArtifactStore) -> None:
    leases, ended = NoLeases(), threading.Event()

    def work(inputs: object, writer: ArtifactWriter, progress: Progress) -> None:
        leases.lost.set_exception(LeaseLostError("taken over"))
        ended.wait()

    stage = fake_stage("a", work)
    with pytest.raises(LeaseLostError, match="taken over"):
        run_flow([stage], store, Progress(), num_cpus=1, max_failed_fraction=0, leases=leases)
    ended.set()
