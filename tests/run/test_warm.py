"""Warm workers: that they are shared, and what comes of calls that fail or whose process dies."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from gist_ray.errors import UserError, causes, full_disk
from gist_ray.run import warm
from gist_ray.run.warm import WorkersDiedError, call_warm, iterate_warm, warm_worker, warm_workers

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]


@pytest.fixture(scope="module", autouse=True)
def workers() -> Iterator[None]:
    """Workers that the tests of this file share, which cannot import it: its functions travel
    whole."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with warm_workers():
        yield


def pid() -> int:
    return os.getpid()


def count_up(folder: str, most: int) -> Iterator[int]:
    """Yields 1 to `most`, across deaths; its process dies once, after the second."""
    while len(os.listdir(folder)) < most:
        number = len(os.listdir(folder)) + 1
        Path(folder, str(number)).touch()
        yield number
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def test_calls_share_one_process_and_start_like_a_new_one() -> None:
    def spoil() -> int:
        import torch

        torch.set_num_threads(3)
        torch.manual_seed(7)
        torch.backends.cuda.enable_flash_sdp(False)
        return os.getpid()

    def state() -> tuple[int, int, int, bool]:
        import torch

        return os.getpid(), torch.get_num_threads(), torch.initial_seed(), drawn(torch)

    def drawn(torch: object) -> object:
        return torch.rand(1).item(), torch.backends.cuda.flash_sdp_enabled()  # type: ignore[attr-defined]

    first = call_warm(state)
    assert call_warm(spoil) == first[0] != os.getpid()
    assert call_warm(state)[3] == first[3]
    assert first[1] == 1
    assert call_warm(state, cpus=2)[:2] == (first[0], 2)


def test_side_by_side_calls_have_a_process_each_up_to_the_cpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm, "max_warm_workers", lambda: 2)
    monkeypatch.setattr(warm, "SHARE_S", 0)
    with warm_worker() as one, ExitStack() as until_then, ThreadPoolExecutor() as threads:
        two = until_then.enter_context(warm_worker())
        taken = two.call(pid)
        assert one.call(pid) != taken
        waiting = threads.submit(call_warm, pid)
        assert one.call(pid) != taken
        assert not waiting.done()
        until_then.close()
        assert waiting.result() == taken


def test_a_call_rather_waits_for_a_worker_than_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_pool", None)
    monkeypatch.setattr(warm, "_num_blocks", 0)
    monkeypatch.setattr(warm, "SHARE_S", 600)
    with warm_workers(), ThreadPoolExecutor() as threads:
        with warm_worker() as one:
            waiting = threads.submit(call_warm, pid)
            taken = one.call(pid)
        assert waiting.result() == taken


def test_a_worker_does_not_take_a_cpu_of_ray() -> None:
    import ray

    assert call_warm(pid)
    assert ray.available_resources()["CPU"] == ray.cluster_resources()["CPU"]


def test_a_call_that_kills_its_process_is_given_up() -> None:
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkersDiedError, match=r"dies: its process died at every attempt \(1\)"):
        call_warm(dies, max_deaths=0)


def test_after_a_kill_the_call_is_made_again_by_a_new_process() -> None:
    before = call_warm(pid)
    os.kill(before, signal.SIGKILL)
    after = call_warm(pid)
    assert after != before
    assert call_warm(pid) == after


def test_items_come_while_the_generator_runs(tmp_path: Path) -> None:
    def waits(folder: str) -> Iterator[int]:
        import time

        yield 1
        while not Path(folder, "seen").exists():
            time.sleep(0.01)
        yield 2

    items = iterate_warm(waits, str(tmp_path))
    assert next(items) == 1
    (tmp_path / "seen").touch()
    assert list(items) == [2]


def test_a_generator_goes_on_after_a_kill_from_what_it_stored(tmp_path: Path) -> None:
    assert list(iterate_warm(count_up, str(tmp_path), 5))[-3:] == [3, 4, 5]
    assert len(list(tmp_path.iterdir())) == 5


def test_a_user_error_stays_one_with_its_problems() -> None:
    def refuses() -> None:
        raise UserError(["one.", "two."])

    before = call_warm(pid)
    with pytest.raises(UserError) as caught:
        call_warm(refuses)
    assert caught.value.problems == ["one.", "two."]
    assert "in refuses" in caught.value.__notes__[0]
    assert call_warm(pid) == before


def test_what_lies_behind_an_error_comes_along() -> None:
    def fails() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left", "/data/part")
        except OSError as error:
            raise RuntimeError("cannot store") from error

    with pytest.raises(RuntimeError, match="cannot store") as caught:
        call_warm(fails)
    assert [type(one) for one in causes(caught.value)] == [RuntimeError, OSError]
    assert full_disk(caught.value) is not None


def test_an_error_that_cannot_be_pickled_is_told_in_words() -> None:
    class OddError(Exception):
        def __init__(self, one: str, two: str) -> None:
            super().__init__(f"{one} and {two}")

    def fails() -> None:
        raise OddError("this", "that")

    with pytest.raises(RuntimeError, match="OddError: this and that"):
        call_warm(fails)


def test_what_cannot_be_pickled_is_named() -> None:
    def locked() -> object:
        return threading.Lock()

    with pytest.raises(TypeError, match="pid: cannot travel to another process"):
        call_warm(pid, threading.Lock())
    with pytest.raises(TypeError, match=r"the result of locked: cannot travel to another process"):
        call_warm(locked)


def test_a_generator_that_is_left_early_ends_its_worker() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield os.getpid()

    items = iterate_warm(endless)
    left = next(items)
    items.close()
    wait_for_end(left)


def test_workers_end_with_the_outermost_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_pool", None)
    monkeypatch.setattr(warm, "_num_blocks", 0)
    with warm_workers():
        with warm_workers():
            first = call_warm(pid)
        assert call_warm(pid) == first
    wait_for_end(first)


def test_a_worker_starts_on_a_node_with_cpus_and_not_where_one_has_just_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head, gone, one, two = (f"{number:056x}" for number in range(4))
    nodes = [
        {"NodeID": head, "Alive": True, "Resources": {}},
        {"NodeID": gone, "Alive": False, "Resources": {"CPU": 2}},
        {"NodeID": one, "Alive": True, "Resources": {"CPU": 2}},
        {"NodeID": two, "Alive": True, "Resources": {"CPU": 2}},
    ]
    asked = []

    def start(there: Any) -> object:
        asked.append(there)
        return object()

    monkeypatch.setattr(warm, "start_process", start)
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    monkeypatch.setattr("ray.kill", lambda actor: None)
    pool = warm._Pool()
    first = pool._start()
    pool._start()
    pool.replace(first)
    pool._start()
    assert [there.node_id for there in asked] == [one, two, two, one]
    # Ray ignores a soft one
    assert not any(there.soft for there in asked)


def wait_for_end(of: int) -> None:
    """Fails if the process with this pid does not end."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(of).wait(60)
