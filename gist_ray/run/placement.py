"""Decides where the rows of a stage are worked on: in a warm worker, or on Ray Data."""

from dataclasses import dataclass
from typing import Literal

Place = Literal["warm worker", "Ray Data", "by its cost"]
"""By its cost: the first block runs in a warm worker, and its cost decides about the rest."""

START_S = 18.0
"""Seconds that Ray Data takes to start the processes of an embedding, beyond the work itself: on
two CPUs (AMD EPYC) 19 s of a stage with 1.3 s of work, and 21 to 28 s while other programs kept
both CPUs busy (benchmarks/small_work.py)."""

RAY_DATA_PROCESSES = 2
"""A pool of actors may always have so many, and a pool of tasks has more."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far the rows of a stage may be spread over processes."""

    rows_per_part: int
    gpus: float = 0
    max_workers: int | None = None
    """Most processes, as they are asked for; None: as many as there are CPUs."""


def place(spread: Spread, num_rows: int | None, *, seconds_per_row: float | None = None) -> Place:
    """Returns where to work on the `num_rows` rows that are left (None: not known yet).

    Ray Data does work on GPUs, and work with max_workers above 1. It also does work in which its
    processes save more time than they take to start.

    seconds_per_row: what the rows before cost in a warm worker; None before the first block.
    """
    if spread.gpus or (spread.max_workers or 1) > 1:
        return "Ray Data"
    if num_rows is not None and num_rows <= spread.rows_per_part:
        return "warm worker"
    if num_rows is None or seconds_per_row is None:
        return "by its cost"
    saved = num_rows * seconds_per_row * (1 - 1 / RAY_DATA_PROCESSES)
    return "Ray Data" if saved > START_S else "warm worker"
