"""Pieces of array work in as many threads as BLAS would use for one product.

A product by BLAS keeps all CPUs busy; what comes before and after it, gathering rows and choosing
among them, is done by numpy in one. So the threads take a piece each, its product included.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from threadpoolctl import threadpool_limits

# The limit on BLAS is the process's: two that set it and put it back in turns would leave it set.
_LIMITING = threading.Lock()


def side_by_side(work: Callable[..., None], pieces: Iterable[tuple[Any, ...]]) -> None:
    """Call `work(*piece)` for every piece. Raises what the first piece that fails raises."""
    with _LIMITING, threadpool_limits(1, user_api="blas") as limits:
        num_threads = limits.get_original_num_threads()["blas"] or 1
        with ThreadPoolExecutor(num_threads) as threads:
            running = [threads.submit(work, *piece) for piece in pieces]
            for piece in running:
                piece.result()
