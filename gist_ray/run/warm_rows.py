"""Works on blocks of rows in a warm worker."""

import time
import uuid
from collections.abc import Iterator, Sequence

import pyarrow as pa

from gist_ray.run.part_writer import PartWriter
from gist_ray.run.placement import Spread, place
from gist_ray.run.step import Made, Step, work_on
from gist_ray.run.warm import warm_worker


def in_warm_worker(
    blocks: Sequence[pa.Table], steps: Sequence[Step], *, spread: Spread, store: PartWriter
) -> Iterator[pa.Table]:
    """Yields STORED of each block once it is stored, as long as this is the place for the rows that
    are left. Raises as `call_warm` does; a block in which the process dies is worked on again."""
    num_rows = sum(len(block) for block in blocks)
    if not num_rows or place(spread, num_rows) == "Ray Data":
        return
    stage = uuid.uuid4().hex
    seconds, done = 0.0, 0
    with warm_worker(cpus=max(step.cpus for step in steps)) as worker:
        for block in blocks:
            cost = seconds / done if done else None
            if place(spread, num_rows - done, seconds_per_row=cost) == "Ray Data":
                return
            stored, took = worker.call(_store_block, stage, steps, store, block)
            yield stored
            seconds, done = seconds + took, done + len(block)


def _store_block(
    stage: str, steps: Sequence[Step], store: PartWriter, block: pa.Table
) -> tuple[pa.Table, float]:
    """Returns STORED of a block, and the seconds that it took once the steps were made."""
    if stage not in _made:
        _made.clear()  # What the steps of the stage before have loaded is let go.
        _made[stage] = [Made(step, step.made()) for step in steps]
    start = time.perf_counter()
    return store(work_on(block, _made[stage])), time.perf_counter() - start


_made: dict[str, list[Made]] = {}
"""In a warm worker, the steps of the stage that it works for, by the stage's name for this."""
