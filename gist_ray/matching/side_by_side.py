"""Runs pieces of array work in as many threads as BLAS would use for one product.

BLAS uses all CPUs for a product, but numpy uses one for gathering rows before it and choosing among
them after it. So each thread does a whole piece, its product included, with BLAS on one thread.
"""

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

# BLAS has one limit per process; two callers that set and restore it by turns would leave it at 1.
_LIMITING = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[int]:
    """BLAS uses one thread of this process inside; yields how many it used before."""
    with _LIMITING, threadpool_limits(1, user_api="blas") as limits:
        with warnings.catch_warnings():
            # faiss brings a BLAS beside numpy's, with another number; the lower one is returned
            warnings.filterwarnings("ignore", message="Multiple values possible")
            num_threads = limits.get_original_num_threads()["blas"] or 1
        yield num_threads


def side_by_side(work: Callable[..., None], pieces: Iterable[tuple[Any, ...]]) -> None:
    """Calls `work(*piece)` for every piece. Raises the error of the first piece that fails."""
    with one_blas_thread() as num_threads, ThreadPoolExecutor(num_threads) as threads:
        running = [threads.submit(work, *piece) for piece in pieces]
        for piece in running:
            piece.result()
