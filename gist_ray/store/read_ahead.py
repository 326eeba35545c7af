"""Concurrent reading of several files, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

READ_AHEAD = 8
"""The number of part files that are read at the same time. On S3 a read mostly waits."""

Result = TypeVar("Result")


def read_ahead(
    reads: Iterable[Callable[[], Result]], at_once: int = READ_AHEAD
) -> Iterator[Result]:
    """Yields the result of each of `reads`, in their order. Raises what a read raises.

    `at_once` reads run at a time, in threads. At most `at_once` + 1 results are in memory besides
    the one that the caller works on.
    """
    with ThreadPoolExecutor(at_once) as threads:
        waiting = []
        for read in reads:
            waiting.append(threads.submit(read))
            if len(waiting) > at_once:
                yield waiting.pop(0).result()
        for running in waiting:
            yield running.result()
