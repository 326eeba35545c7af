"""A running job renews its leases every few seconds, and stops once it has lost one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import LeaseLostError
from gist_ray.run import lease as leases
from gist_ray.run.acquire import acquire
from gist_ray.run.heartbeat import PROGRESS_FILE, Heartbeat
from gist_ray.run.lease import file_of, read_lease
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from tests.run.conftest import far_away

FLOW = """
import sys, time
from pathlib import Path
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.commands.exits import exit_codes
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run import lease
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.stage import Stage

def train(inputs, writer, progress):
    print(writer.uri, flush=True)
    while True:
        storage.write_text(writer.file("state"), str(time.time()))

lease._machine = lambda: "another"
with exit_codes(), Heartbeat(Progress(), interval_s=0.01) as heartbeat:
    stage = Stage(name="train", kind="fake", group="train", run=train)
    store = ArtifactStore(sys.argv[1])
    run_flow([stage], store, Progress(), num_cpus=1, max_failed_fraction=0, leases=heartbeat)
"""


def silent(message: str) -> None:
    pass


def break_listing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A store that cannot be asked for leases, until the answer is called."""
    names = storage.names_starting_with

    def broken(*args: Any) -> list[str]:
        raise OSError("503 SlowDown")

    monkeypatch.setattr(storage, "names_starting_with", broken)
    return lambda: monkeypatch.setattr(storage, "names_starting_with", names)


def test_heartbeats_go_on_while_a_stage_works_and_outlive_a_store_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A heartbeat that fails is said once; the next one that succeeds tells the newest."""
    heard: list[int] = []
    progress = Progress()
    write, broken = storage.write_bytes, [True, True, False]

    def flaky(uri: str, data: bytes, **options: Any) -> None:
        if uri.endswith("alive.json") and broken and broken.pop(0):
            raise OSError("503 SlowDown")
        write(uri, data, **options)

    monkeypatch.setattr(storage, "write_bytes", flaky)
    folder = str(tmp_path / "a")
    with (
        Heartbeat(
            progress,
            run=acquire(str(tmp_path / "alive.json"), silent),
            listeners=[lambda states: heard.append(states[0].done)],
            interval_s=0.01,
        ) as heartbeat,
        heartbeat.hold("a", folder),
        progress.running("a", "fake", folder),
    ):
        meter = progress.rows("a", 1000, "rows")
        while len(heard) < 8:
            meter.add(1)
        told = storage.read_json(f"{folder}/{PROGRESS_FILE}")
    assert told["done"] >= 1
    assert told["total"] == 1000
    assert capsys.readouterr().out.count("503 SlowDown") == 1
    assert list(storage.list_files(str(tmp_path))) == []
    assert not heartbeat.lost.done()


def test_a_store_that_cannot_be_reached_stops_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is acquired once the store answers."""
    mend = break_listing(monkeypatch)
    lease = str(tmp_path / PROGRESS_FILE)
    with Heartbeat(Progress(), interval_s=0.01) as heartbeat:
        with heartbeat.hold("a", str(tmp_path)):
            assert not Path(lease).exists()
            mend()
            while read_lease(lease) is None:
                pass
        heartbeat.check()
    assert read_lease(lease) is None


def test_work_begun_without_a_lease_stops_for_a_living_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend = break_listing(monkeypatch)
    lease = str(tmp_path / PROGRESS_FILE)
    with (
        Heartbeat(Progress(), interval_s=0.01) as heartbeat,
        heartbeat.hold("a", str(tmp_path)),
    ):
        storage.write_json(lease, far_away())
        mend()
        beats = 0
        while not heartbeat.lost.done():
            beats += 1
            storage.write_json(lease, far_away() | {"beats": beats})
        with pytest.raises(LeaseLostError, match="process 1 on far is at the same work"):
            heartbeat.check()
    assert leases.who(storage.read_json(lease)) == "process 1 on far"


@pytest.mark.parametrize("of", ["run", "stage"])
def test_a_lease_that_was_taken_over_is_told_and_written_no_more(tmp_path: Path, of: str) -> None:
    run, stage = str(tmp_path / "alive.json"), str(tmp_path / PROGRESS_FILE)
    lost = run if of == "run" else stage
    held = acquire(run, silent)
    with (
        Heartbeat(Progress(), run=held, interval_s=0.01) as heartbeat,
        heartbeat.hold("a", str(tmp_path)),
    ):
        storage.write_json(file_of(lost, 2), far_away())
        with pytest.raises(LeaseLostError, match="process 1 on far has taken over"):
            heartbeat.lost.result()
        assert heartbeat.has_lost_run == (of == "run")
    assert leases.who(read_lease(lost) or {}) == "process 1 on far"
    assert read_lease(stage if of == "run" else run) is None


def test_a_stage_that_is_made_again_waits_for_no_heartbeat(tmp_path: Path) -> None:
    """The lease's file is deleted with a later heartbeat."""
    lease = str(tmp_path / PROGRESS_FILE)
    with Heartbeat(Progress(), interval_s=1e6) as heartbeat:
        for generation in (1, 2, 3):
            with heartbeat.hold("a", str(tmp_path)):
                assert Path(file_of(lease, generation)).exists()
    assert list(storage.list_files(str(tmp_path))) == []


def test_a_process_that_was_suspended_and_replaced_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine as far as leases know, for on one machine a suspended process lives."""
    command = [sys.executable, "-c", FLOW, str(tmp_path)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            folder = next(line.strip() for line in process.stdout if "artifacts" in line)
            lease = f"{folder}/{PROGRESS_FILE}"
            os.kill(process.pid, signal.SIGSTOP)
            monkeypatch.setattr(leases, "SILENT_S", -1.0)
            held = acquire(lease, silent)
            assert held.replaced is not None
            assert held.replaced["pid"] == process.pid
            os.kill(process.pid, signal.SIGCONT)
            _, errors = process.communicate()
        finally:
            process.kill()
    assert process.returncode == 2
    assert f"process {os.getpid()} on" in errors
    assert "has taken over its work" in errors
    found = read_lease(lease)
    assert found is not None
    assert found["token"] == held.token
