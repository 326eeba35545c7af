"""Of several processes one holds a lease, whoever dies or sleeps in between."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from gist_ray.errors import LeaseLostError, UserError
from gist_ray.run import acquire as acquiring
from gist_ray.run import lease as leases
from gist_ray.run.acquire import (
    Attempt,
    Held,
    acquire,
    disown,
    release,
    renew,
)
from gist_ray.run.lease import file_of, generations_of, is_own, process_lease, read_lease
from gist_ray.store import storage
from tests.run.conftest import far_away

DIES_IN_THE_MIDDLE = """
import os, sys
from gist_ray.store import storage
from gist_ray.run.acquire import Attempt
write_new = storage.write_new
def write_and_die(uri, data):
    write_new(uri, data)
    os._exit(9)
storage.write_new = write_and_die
Attempt(sys.argv[1]).once()
"""

COMPETES = """
import sys
from gist_ray.run import acquire
take = acquire._take
def once_all_have_looked(*args, **more):
    print("has looked", flush=True)
    sys.stdin.readline()
    return take(*args, **more)
acquire._take = once_all_have_looked
print("won" if acquire.Attempt(sys.argv[1]).once() else "lost", flush=True)
sys.stdin.readline()
"""


def silent(message: str) -> None:
    pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(acquiring, "POLL_S", 0.02)
    return


def taken(uri: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> list[Held]:
    """The leases that threads get which have all looked before one of them takes it."""
    barrier, take = Barrier(at_once), acquiring._take

    def once_all_have_looked(*args: Any, **more: Any) -> Held | None:
        barrier.wait()
        return take(*args, **more)

    with ThreadPoolExecutor(at_once) as threads, monkeypatch.context() as patch:
        patch.setattr(acquiring, "_take", once_all_have_looked)
        attempts = [Attempt(uri) for _ in range(at_once)]
        return [held for held in threads.map(lambda one: one.once(), attempts) if held]


@pytest.mark.parametrize("at_once", [2, 20])
@pytest.mark.parametrize("is_free", [True, False])
def test_one_of_many_wins(
    uri: str, at_once: int, is_free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = far_away(silent_s=100)
    if not is_free:
        storage.write_json(uri, dead)
    (held,) = taken(uri, at_once, monkeypatch)
    assert held.replaced == (None if is_free else dead)
    renew(held)
    assert Attempt(uri).once() is None
    release(held)
    assert generations_of(uri) == []


def test_one_wins_each_time_that_the_winner_dies(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = set()
    for generation in range(1, 5):
        (held,) = taken(uri, 3, monkeypatch)
        assert held.generation == generation
        tokens.add(held.token)
        disown(held)  # as if its process had ended
    assert len(tokens) == 4


@pytest.mark.parametrize("uri", ["local", "s3"], indirect=True)
def test_one_of_several_processes_wins(uri: str) -> None:
    storage.write_json(uri, far_away(silent_s=100))
    command = [sys.executable, "-c", COMPETES, uri]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout.readline() == "has looked\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        results = [process.stdout.readline() for process in processes]
        assert sorted(results) == ["lost\n", "lost\n", "won\n"]
        found = read_lease(uri)
        assert found is not None
        assert found["pid"] == processes[results.index("won\n")].pid
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("uri", ["local", "s3"], indirect=True)
def test_a_successor_that_died_in_the_middle_has_a_successor(uri: str) -> None:
    storage.write_json(uri, far_away(silent_s=100))
    died = subprocess.run([sys.executable, "-c", DIES_IN_THE_MIDDLE, uri], check=False)
    assert died.returncode == 9
    held = acquire(uri, silent)
    assert held.generation == 3
    assert held.replaced is not None
    assert held.replaced["pid"] != os.getpid()
    release(held)
    assert generations_of(uri) == []


def test_the_answer_that_was_lost_is_looked_up(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is tried again after its answer was lost finds its own file."""
    write_new = storage.write_new
    monkeypatch.setattr(
        storage, "write_new", lambda uri, data: write_new(uri, data) and write_new(uri, data)
    )
    held = acquire(uri, silent)
    assert held.generation == 1
    renew(held)


def test_who_looked_before_the_lease_was_released_gives_way(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead lease that it saw was taken over, released, and acquired anew by then."""
    storage.write_json(uri, far_away(silent_s=100))
    take = acquiring._take
    new: list[Held] = []

    def late(*args: Any, **more: Any) -> Held | None:
        monkeypatch.setattr(acquiring, "_take", take)
        release(acquire(uri, silent))
        new.append(acquire(uri, silent))
        return take(*args, **more)

    monkeypatch.setattr(acquiring, "_take", late)
    assert Attempt(uri).once() is None
    assert generations_of(uri) == [1]
    renew(new[0])


def test_a_server_that_ignores_the_condition(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both believe to have won, until the one that was overwritten renews its lease."""

    def write_new(uri: str, data: bytes) -> bool:
        storage.write_bytes(uri, data)
        return True

    monkeypatch.setattr(storage, "write_new", write_new)
    first = acquiring._take(uri, [], replaced=None, more={})
    second = acquiring._take(uri, [], replaced=None, more={})
    assert first is not None
    assert second is not None
    renew(second)
    with pytest.raises(LeaseLostError):
        renew(first)
    release(first)
    renew(second)


def test_who_wakes_up_has_lost_its_lease_and_leaves_the_newer_alone(uri: str) -> None:
    held = acquire(uri, silent)
    successor = far_away()
    storage.write_json(file_of(uri, 2), successor)
    with pytest.raises(LeaseLostError, match="process 1 on far has taken over its work"):
        renew(held)
    assert read_lease(uri) == successor
    release(held)
    assert read_lease(uri) == successor


def test_who_wakes_up_after_its_successor_has_ended_has_lost_its_lease_too(uri: str) -> None:
    held = acquire(uri, silent)
    storage.delete(uri)
    with pytest.raises(LeaseLostError, match="taken over its work"):
        renew(held)
    assert read_lease(uri) is None
    successor = acquire(uri, silent)
    with pytest.raises(LeaseLostError, match="taken over its work"):
        renew(held)
    release(held)
    renew(successor)


def test_who_sleeps_between_the_look_and_the_write_takes_it_back(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = acquire(uri, silent)
    write_bytes = storage.write_bytes

    def late(uri: str, data: bytes, **options: Any) -> None:
        storage.delete(uri)  # by a successor that is done
        monkeypatch.setattr(acquiring, "SILENT_S", -1.0)
        write_bytes(uri, data, **options)

    monkeypatch.setattr(storage, "write_bytes", late)
    with pytest.raises(LeaseLostError):
        renew(held)
    assert read_lease(uri) is None


@pytest.mark.parametrize("left", ["from the future", "cut short"])
def test_what_never_changes_is_dead_whatever_its_clock_says(
    local_uri: str, left: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (leases, acquiring):
        monkeypatch.setattr(module, "SILENT_S", 0.2)
    if left == "from the future":
        storage.write_json(local_uri, far_away(silent_s=-1e6))
    else:
        storage.write_text(local_uri, '{"machine": "ano')
    assert acquire(local_uri, silent, patience_s=0.1).generation == 2
    found = read_lease(local_uri)
    assert found is not None
    assert is_own(found)


def test_a_second_run_of_one_name_is_told_of_the_first(local_uri: str, quick: None) -> None:
    theirs = process_lease() | {"pid": os.getppid(), "process_started": parent_started()}
    storage.write_json(local_uri, theirs)
    said: list[str] = []
    with pytest.raises(UserError, match=rf"process {os.getppid()} on .* runs this already"):
        acquire(local_uri, said.append, patience_s=0.2)
    assert len(said) == 1
    assert read_lease(local_uri) == theirs


def parent_started() -> float:
    import psutil

    return float(psutil.Process(os.getppid()).create_time())


def test_a_lease_that_is_released_is_acquired(uri: str, quick: None) -> None:
    storage.write_json(uri, far_away())
    assert acquire(uri, lambda message: storage.delete(uri)).replaced is None


def test_a_store_that_fails_gives_nobody_what_a_living_process_holds(
    local_uri: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_json(local_uri, far_away())
    names = storage.names_starting_with
    calls = 0

    def flaky(*args: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("503 SlowDown")
        if calls == 3:
            storage.delete(local_uri)
        return names(*args)

    monkeypatch.setattr(storage, "names_starting_with", flaky)
    assert acquire(local_uri, silent).generation == 1
    assert calls > 3


def test_a_store_that_cannot_be_reached_is_said(
    local_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> list[str]:
        raise OSError("503 SlowDown")

    monkeypatch.setattr(storage, "names_starting_with", broken)
    with pytest.raises(OSError, match="SlowDown"):
        acquire(local_uri, silent)
