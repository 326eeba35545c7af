"""Works on blocks of rows with Ray Data."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray.data
import ray.data.exceptions

from gist_ray.run import cluster
from gist_ray.run.part_writer import PartWriter
from gist_ray.run.step import Step

MAX_WRITERS = 8

Transform = Callable[[ray.data.Dataset], ray.data.Dataset]


def pipeline(steps: Sequence[Step], rows_per_part: int) -> Transform:
    """Returns the function that adds the steps to a dataset of blocks of `rows_per_part` rows."""

    def transform(dataset: ray.data.Dataset) -> ray.data.Dataset:
        for step in steps:
            dataset = _with_step(dataset, step, rows_per_part)
        return dataset

    return transform


def _with_step(dataset: ray.data.Dataset, step: Step, rows_per_part: int) -> ray.data.Dataset:
    function: Callable[..., Any] = step.make
    constructor: dict[str, Any] = {}
    if isinstance(step.make, type):
        # A range, not a fixed size: a fixed pool whose actor dies can hang (ray#62746, Ray<=2.60).
        most = max(2, step.max_workers or int(cluster.connect()))
        compute = ray.data.ActorPoolStrategy(min_size=1, max_size=most)
        constructor["fn_constructor_args"] = step.args
    else:
        compute = ray.data.TaskPoolStrategy(size=step.max_workers)
        function = step.made()
    return dataset.map_batches(
        function,
        # With a larger batch Ray Data would work on several blocks as one, and store them so.
        batch_size=step.batch_size and min(step.batch_size, rows_per_part),
        batch_format=step.batch_format,
        compute=compute,
        num_cpus=step.cpus,
        num_gpus=step.gpus,
        **constructor,
    )


def on_ray_data(
    blocks: Sequence[pa.Table], transform: Transform, store: PartWriter
) -> Iterator[pa.Table]:
    """Yields STORED of each block once it is stored. Raises UserError if no block is finished for
    cluster.PATIENCE_S.

    Raises UserError if nothing went forward for cluster.PATIENCE_S.
    """
    if not blocks:
        return
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    context.execution_no_progress_timeout_s = cluster.PATIENCE_S
    # Ray's own exception loses what is behind it on its way here, such as a full disk.
    context.raise_original_map_exception = True
    written = transform(ray.data.from_arrow(list(blocks))).map_batches(
        _Writer,
        fn_constructor_args=(store,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=MAX_WRITERS),
        num_cpus=0.5,
    )
    try:
        yield from written.iter_batches(batch_size=None, batch_format="pyarrow")
    except ray.data.exceptions.ExecutionTimeoutError as error:
        raise cluster.no_capacity(store.stage) from error


class _Writer:
    """An actor that stores blocks.

    Its process starts beside the encoder's. A task's would start with the first block that is done,
    and all that is computed until it is up would be lost with the driver.
    """

    def __init__(self, store: PartWriter) -> None:
        self.store = store

    def __call__(self, block: pa.Table) -> pa.Table:
        return self.store(block)
