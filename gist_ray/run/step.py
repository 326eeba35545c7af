"""Steps: the description of work on rows, and the loop that does it in one process.

`run_rows` makes a Ray Data pipeline of the same steps. A batch is a table, or a dict of columns,
each a list or an array whose first axis is the row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import pyarrow as pa

Batch = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of work on rows, from a batch to a batch with as many rows. It is picklable."""

    make: Callable[..., Callable[[Any], Any]]
    """Called with `args`; returns the function of a batch. A class is constructed once in each
    process and holds what is costly to load; on Ray Data its processes are a pool of actors, and
    those of a function's result run tasks."""

    args: tuple[Any, ...] = ()

    batch_size: int | None = None
    """Rows of a batch, the last of a block aside. None: a whole block."""

    batch_format: Literal["numpy", "pyarrow"] = "numpy"
    """The function is given a dict of arrays or a table; it may return either."""

    cpus: float = 1
    gpus: float = 0

    max_workers: int | None = None
    """Most processes at once; None: as many as there are CPUs."""

    def made(self) -> Callable[[Any], Any]:
        """Returns the function of a batch."""
        return self.make(*self.args)


@dataclass(frozen=True)
class Made:
    """A step and its function, in the process that works."""

    step: Step
    function: Callable[[Any], Any]


def work_on(block: pa.Table, steps: Sequence[Made]) -> pa.Table:
    """Returns what the steps, one after the other, make of the rows of a block."""
    value: Batch | pa.Table = block
    for made in steps:
        value = _joined([made.function(batch) for batch in _batches(value, made.step)])
    return _table(value)


def _batches(value: Batch | pa.Table, step: Step) -> Iterator[Batch | pa.Table]:
    whole = _table(value) if step.batch_format == "pyarrow" else _columns(value)
    num_rows = _num_rows(value)
    size = step.batch_size or max(1, num_rows)
    for at in range(0, num_rows, size):
        if isinstance(whole, pa.Table):
            yield whole.slice(at, size)
        else:
            yield {name: column[at : at + size] for name, column in whole.items()}


def _num_rows(value: Batch | pa.Table) -> int:
    return len(value) if isinstance(value, pa.Table) else len(next(iter(value.values()), ()))


def _joined(batches: Sequence[Batch | pa.Table]) -> Batch | pa.Table:
    if len(batches) == 1:
        return batches[0]
    if isinstance(batches[0], pa.Table):
        return pa.concat_tables(batches)
    return {name: _joined_column([batch[name] for batch in batches]) for name in batches[0]}


def _joined_column(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    return list(chain.from_iterable(pieces))


def _columns(value: Batch | pa.Table) -> Batch:
    if isinstance(value, pa.Table):
        return {name: value.column(name).to_numpy() for name in value.column_names}
    return value


def _table(value: Batch | pa.Table) -> pa.Table:
    if isinstance(value, pa.Table):
        return value
    return pa.table({name: _array(column) for name, column in value.items()})


def _array(column: Any) -> pa.Array:
    if isinstance(column, np.ndarray) and column.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(column.ravel()), column.shape[1])
    return pa.array(column)
