"""Files read side by side, a few at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

READ_AHEAD = 8
"""Part files that are read at the same time; on S3 most of that is waiting."""

Result = TypeVar("Result")


def read_ahead(
    reads: Iterable[Callable[[], Result]], at_once: int = READ_AHEAD
) -> Iterator[Result]:
    """What each of `reads` gives, in their order. `at_once` of them run in threads of their own, so
    that many results, and one more, are held beyond the one that the caller works on."""
    with ThreadPoolExecutor(at_once) as threads:
        waiting = []
        for read in reads:
            waiting.append(threads.submit(read))
            if len(waiting) > at_once:
                yield waiting.pop(0).result()
        for running in waiting:
            yield running.result()
