"""The process of a warm worker, and the serialisation of calls, results and exceptions."""

import traceback
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeVar

import ray
from ray import cloudpickle

from gist_ray.errors import causes

Result = TypeVar("Result")


class WarmProcess:
    """The actor of a warm worker: imports torch and open_clip, then runs one call after another, on
    CPUs.

    Calls and results travel as bytes, so that an error names what cannot be pickled.
    """

    def __init__(self) -> None:
        import open_clip  # noqa: F401  # seconds, which calls need not wait for
        import torch

        self._random_state = torch.get_rng_state()
        self._sdp = torch.backends.cuda.flash_sdp_enabled()
        self._mem_efficient_sdp = torch.backends.cuda.mem_efficient_sdp_enabled()

    def iterate(self, work: bytes, cpus: float, name: str) -> Iterator[Any]:
        """Yields (item, None) for each item of the generator in `work`, pickled; then, if it
        raised, (None, the arguments of `error_of`).

        name: of the function, for messages.
        """
        try:
            self._reset(cpus)
            function, args = cloudpickle.loads(work)
            for item in function(*args):
                yield pickled(item, f"the result of {name}"), None
        except Exception as error:
            yield None, ([_traveling(one) for one in causes(error)], traceback.format_exc())

    def _reset(self, cpus: float) -> None:
        """Sets torch's threads, random state and kernels to those of a process that has just
        started with `cpus` CPUs, whatever an earlier call has set."""
        import torch

        torch.set_num_threads(max(1, int(cpus)))
        torch.set_rng_state(self._random_state)
        torch.backends.cuda.enable_flash_sdp(self._sdp)
        torch.backends.cuda.enable_mem_efficient_sdp(self._mem_efficient_sdp)


def start_process(scheduling_strategy: Any) -> Any:
    """Starts a WarmProcess, which holds no CPU of Ray's; returns its handle."""
    actor = ray.remote(num_cpus=0, num_gpus=0, max_restarts=0, max_task_retries=0)(WarmProcess)
    return actor.options(scheduling_strategy=scheduling_strategy).remote()


def one_item(function: Callable[..., Result], *args: Any) -> Iterator[Result]:
    """Yields function(*args)."""
    yield function(*args)


def pickled(value: Any, name: str) -> bytes:
    """Returns `value` pickled. Raises TypeError, with `name` in it, if it cannot be."""
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise TypeError(f"{name}: cannot travel to another process ({error})") from error


def _traveling(error: BaseException) -> bytes:
    """Returns an exception pickled, or one with the same message if its own class cannot be."""
    try:
        data = bytes(cloudpickle.dumps(error))
        cloudpickle.loads(data)
    except Exception:
        return bytes(cloudpickle.dumps(RuntimeError(f"{type(error).__name__}: {error}")))
    return data


def error_of(chain: list[bytes], stack: str) -> BaseException:
    """Returns the exception of a call, with those behind it as its causes and the stack as a
    note."""
    errors: list[BaseException] = [cloudpickle.loads(one) for one in chain]
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    errors[0].add_note(f"In a warm worker:\n{stack}")
    return errors[0]
