"""Warm workers: processes with torch and open_clip imported that run one call after another, so
that small work does not wait for a process to start."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import ray
import ray.exceptions
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gist_ray.run.cluster import connect, cpus_without_connecting, is_local
from gist_ray.run.warm_process import error_of, one_item, pickled, start_process

MAX_DEATHS = 3

SHARE_S = 5.0
"""How long a call waits for the worker of another one before it has one started, which takes about
10 CPU seconds (imports of torch and open_clip): small work is done sooner."""

DEATHS = (
    ray.exceptions.RayActorError,
    ray.exceptions.ActorUnschedulableError,
    ray.exceptions.ObjectLostError,
)
"""The errors that Ray raises when the process of a call, or the machine with its result, is
gone."""

Result = TypeVar("Result")


class WorkersDiedError(Exception):
    """Every process that ran a call died."""


class WarmWorker:
    """One warm worker, kept for calls that belong together, such as the blocks of one stage."""

    def __init__(self, pool: "_Pool", cpus: float, max_deaths: int) -> None:
        self._pool, self._cpus, self._max_deaths = pool, cpus, max_deaths
        self._actor = pool.take()
        self._is_busy = False

    def call(self, function: Callable[..., Result], *args: Any) -> Result:
        """Returns function(*args), as `call_warm` does."""
        [result] = self._run(one_item, (function, *args), _name(function))
        return result

    def iterate(self, function: Callable[..., Iterator[Result]], *args: Any) -> Iterator[Result]:
        """Yields what the generator function(*args) yields, as `iterate_warm` does."""
        return self._run(function, args, _name(function))

    def _run(
        self, function: Callable[..., Iterator[Result]], args: tuple[Any, ...], name: str
    ) -> Iterator[Result]:
        work = pickled((function, args), name)
        deaths = 0
        while True:
            self._is_busy, failure = True, None
            try:
                for reply in self._actor.iterate.remote(work, self._cpus, name):
                    item, failure = ray.get(reply)
                    if failure is None:
                        yield cloudpickle.loads(item)
            except DEATHS as error:
                deaths += 1
                if deaths > self._max_deaths:
                    raise WorkersDiedError(
                        f"{name}: its process died at every attempt ({deaths}), the last time: "
                        f"{error}"
                    ) from error
                self._actor = self._pool.replace(self._actor)
                continue
            self._is_busy = False
            if failure is not None:
                raise error_of(*failure)
            return

    def release(self) -> None:
        """Leaves the worker to other calls, or ends it if a call was broken off."""
        if self._is_busy:
            self._pool.drop(self._actor)
        else:
            self._pool.give_back(self._actor)


@contextmanager
def warm_workers() -> Iterator[None]:
    """Inside, warm workers stay for further calls, of any thread; they end with the outermost such
    block of the process. Without one, a worker lives as long as its `warm_worker`."""
    global _pool, _num_blocks
    with _lock:
        pool = _pool = _pool or _Pool()
        _num_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _num_blocks -= 1
            is_outermost = not _num_blocks
            if is_outermost:
                _pool = None
        if is_outermost:
            pool.close()


@contextmanager
def warm_worker(*, cpus: float = 1, max_deaths: int = MAX_DEATHS) -> Iterator[WarmWorker]:
    """Inside, a warm worker belongs to the caller. Waits while as many as there are CPUs are in
    use.

    cpus, max_deaths: as for `call_warm`, for each call.
    """
    shared = _pool
    pool = shared or _Pool()
    try:
        worker = WarmWorker(pool, cpus, max_deaths)
        try:
            yield worker
        finally:
            worker.release()
    finally:
        if shared is None:
            pool.close()


def call_warm(
    function: Callable[..., Result], *args: Any, cpus: float = 1, max_deaths: int = MAX_DEATHS
) -> Result:
    """Returns function(*args), called in a warm worker.

    Threads and torch are as in a process that has just started with `cpus` CPUs. The worker takes
    no CPU of Ray's: who calls sees to it that not more runs than there is space for (`run_flow`).

    Args:
        function, args: picklable; so is what it returns.
        max_deaths: how often the process may die, whereupon the call is made again in a new one.

    Raises:
        Whatever `function` raises, with its causes behind it and the worker's stack in its notes.
        TypeError: if function, arguments or result cannot be pickled.
        WorkersDiedError: if the process died once more than max_deaths.
    """
    with warm_worker(cpus=cpus, max_deaths=max_deaths) as worker:
        return worker.call(function, *args)


def iterate_warm(
    function: Callable[..., Iterator[Result]],
    *args: Any,
    cpus: float = 1,
    max_deaths: int = MAX_DEATHS,
) -> Iterator[Result]:
    """Yields what the generator function(*args) yields in a warm worker, as soon as it is there.

    Arguments and errors are those of `call_warm`. After a death the generator is started anew: it
    yields from its beginning again, or goes on from what it has stored. A consumer that stops early
    ends the worker.
    """
    with warm_worker(cpus=cpus, max_deaths=max_deaths) as worker:
        yield from worker.iterate(function, *args)


def max_warm_workers() -> int:
    """Returns how many may be in use at once: the CPUs of this machine, or of the cluster."""
    num_cpus = connect()
    return max(1, int(min(num_cpus, cpus_without_connecting()) if is_local() else num_cpus))


class _Pool:
    """The warm workers of this process: those in use, and those that wait for a call."""

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._nodes: dict[Any, str] = {}
        """Worker -> the node where it was asked for."""
        self._left = ""
        """The node of the worker that ended last: if its machine died, Ray notices seconds later.
        The next worker starts elsewhere, if there is another node."""
        self._is_closed = False
        self._changed = threading.Condition()

    def take(self) -> Any:
        most = max_warm_workers()
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_closed or self._idle or not self._nodes, timeout=SHARE_S
            )
            self._changed.wait_for(lambda: self._is_closed or self._idle or len(self._nodes) < most)
            self._check_open()
            # the one that was used last, whose memory and models are at hand
            return self._idle.pop() if self._idle else self._start()

    def give_back(self, actor: Any) -> None:
        with self._changed:
            self._idle.append(actor)
            self._changed.notify_all()

    def replace(self, actor: Any) -> Any:
        """Returns a new worker in the place of a dead one."""
        with self._changed:
            self._end(actor)
            self._check_open()
            return self._start()

    def drop(self, actor: Any) -> None:
        with self._changed:
            self._end(actor)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            for actor in list(self._nodes):
                self._end(actor)
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise WorkersDiedError("the run that this call belongs to has ended")

    def _start(self) -> Any:
        # No CPU of Ray's is held, for an idle worker would keep stages on Ray Data or Ray Train
        # waiting. So Ray would start it anywhere, even on a head without CPUs.
        nodes = [n["NodeID"] for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        # This process's own is the first of equals: the leader of a trial has asked for the CPUs of
        # its warm worker there.
        own = ray.get_runtime_context().get_node_id()
        nodes.sort(key=lambda node: node != own)
        taken = list(self._nodes.values())
        node = min(nodes, key=lambda one: (one == self._left, taken.count(one)), default="")
        self._left = ""
        # For an actor that asks for no resources, Ray (2.60) ignores a soft affinity.
        there = NodeAffinitySchedulingStrategy(node, soft=False) if node else "DEFAULT"
        actor = start_process(there)
        self._nodes[actor] = node
        return actor

    def _end(self, actor: Any) -> None:
        self._left = self._nodes.pop(actor, "")
        if ray.is_initialized():
            ray.kill(actor)


_lock = threading.Lock()
_pool: _Pool | None = None
_num_blocks = 0
"""Of `warm_workers` that are open, and share `_pool`."""


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", "") or type(function).__name__)
