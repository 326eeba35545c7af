"""Runs a graph of stages. Stored artifacts are not made again; stages that do not depend on each
other run in parallel, as far as the CPUs suffice."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from graphlib import TopologicalSorter
from typing import Any, Protocol

from gist_ray.errors import LeaseLostError
from gist_ray.run.progress import Progress, duration
from gist_ray.run.stage import Done, Stage
from gist_ray.run.warm import warm_workers
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter

SAID_AFTER_S = 1.0
"""Seconds after which a running stage is printed; a study has hundreds of shorter ones."""


class Leases(Protocol):
    """Leases that keep two processes from making the same artifact at once."""

    lost: "Future[None]"
    """Raises once this process has lost the lease of what it works on."""

    def hold(self, name: str, uri: str) -> AbstractContextManager[None]:
        """Returns a context in which this process alone makes the stage `name`, whose artifact is
        in the folder `uri`. Entering it waits while another process makes the same artifact."""


class NoLeases:
    """Leases of a store that no other process writes to: they hold nothing."""

    def __init__(self) -> None:
        self.lost: Future[None] = Future()

    def hold(self, name: str, uri: str) -> AbstractContextManager[None]:
        return nullcontext()


class TooManyFailedRowsError(Exception):
    """More rows failed than the config allows."""

    def __init__(self, stage: str, artifact: Artifact, allowed: float) -> None:
        counts = artifact.counts
        kinds = ", ".join(f"{kind}: {number}" for kind, number in sorted(counts["failed"].items()))
        super().__init__(
            f"{stage}: {sum(counts['failed'].values())} of {counts['rows_in']} rows failed "
            f"({kinds}); {allowed:.1%} are allowed (max_failed_fraction). The rows are in "
            f"{artifact.uri}/errors.parquet; what succeeded is stored and will not be made again."
        )
        self.kinds: dict[str, int] = counts["failed"]


@warm_workers()
def run_flow(
    stages: Iterable[Stage],
    store: ArtifactStore,
    progress: Progress,
    *,
    num_cpus: float,
    max_failed_fraction: float,
    num_gpus: float = 0,
    leases: Leases | None = None,
) -> dict[str, Done]:
    """Runs the stages that are not stored, inputs first; returns all of them by name. The stages
    share warm workers.

    num_cpus, num_gpus: what stages share. Without a GPU nobody waits for one.
    leases: held while a stage is made.

    Raises TooManyFailedRowsError, or whatever a stage raises, once the stages that were running
    have ended. Ctrl-C does not wait for them: what they have written is whole. Nor does the
    LeaseLostError of `leases`, for another process is at what they do.
    """
    leases = leases or NoLeases()
    by_name = {stage.name: stage for stage in stages}
    order = TopologicalSorter(
        {name: [source.name for source in stage.inputs.values()] for name, stage in by_name.items()}
    )
    order.prepare()
    done: dict[str, Done] = {}
    ready: list[Stage] = []
    running: dict[Future[Done], Stage] = {}
    threads = ThreadPoolExecutor(max_workers=max(1, len(by_name)))
    try:
        while order.is_active():
            ready += [by_name[name] for name in order.get_ready()]
            for stage in list(ready):
                if not _may_start(stage, running.values(), num_cpus=num_cpus, num_gpus=num_gpus):
                    continue
                ready.remove(stage)
                inputs = {name: done[source.name].artifact for name, source in stage.inputs.items()}
                made = threads.submit(
                    _obtain, stage, inputs, store, progress=progress, leases=leases
                )
                running[made] = stage
            awaited: list[Future[Any]] = [*running, leases.lost]
            wait(awaited, return_when=FIRST_COMPLETED)
            if leases.lost.done():
                leases.lost.result()
            finished = [future for future in running if future.done()]
            for future in finished:
                stage = running.pop(future)
                done[stage.name] = future.result()
                _check_failures(done[stage.name], max_failed_fraction)
                order.done(stage.name)
    except LeaseLostError:
        raise
    except Exception:
        if running:
            progress.say(stage.name, f"failed; waiting for {len(running)} running stages to end")
        wait(running)
        raise
    finally:
        threads.shutdown(wait=False)
    return {name: done[name] for name in by_name}


def _may_start(
    stage: Stage, running: Collection[Stage], *, num_cpus: float, num_gpus: float
) -> bool:
    """Returns whether a stage may start: its CPUs and GPUs are free, or nothing runs, and no
    running stage makes the same artifact. Stages of two names may have the same fingerprint.

    Ray would let a stage wait too, but not for as long as a training takes: a wait that long looks
    like machines that do not come back.
    """
    if any((stage.kind, stage.fingerprint) == (s.kind, s.fingerprint) for s in running):
        return False
    need = stage.resources
    cpus, gpus = (sum(getattr(s.resources, of) for s in running) for of in ("cpus", "gpus"))
    fits = cpus + need.cpus <= num_cpus and (
        not num_gpus or not need.gpus or gpus + need.gpus <= num_gpus
    )
    return not running or fits


def _obtain(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    store: ArtifactStore,
    *,
    progress: Progress,
    leases: Leases,
) -> Done:
    if stored := stage.find(store):
        return Done(stage, stored, was_stored=True)
    writer = stage.writer(store)
    with leases.hold(stage.name, writer.uri):
        if stored := stage.find(store):  # by another process meanwhile
            return Done(stage, stored, was_stored=True)
        return _make(stage, inputs, writer, store=store, progress=progress)


def _make(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    writer: ArtifactWriter,
    *,
    store: ArtifactStore,
    progress: Progress,
) -> Done:
    start = time.monotonic()
    said = threading.Timer(SAID_AFTER_S, progress.say, (stage.name, "runs"))
    said.daemon = True
    said.start()
    try:
        with progress.running(stage.name, stage.kind, writer.uri):
            stage.run(inputs, writer, progress)
            seconds = time.monotonic() - start
            if stored := stage.find(store):
                # Another run was quicker, and others may be reading what it has listed.
                return Done(stage, stored, was_stored=True)
            artifact = writer.publish(seconds)
    finally:
        said.cancel()
    counts = artifact.counts
    failed = sum(counts["failed"].values())
    if seconds >= SAID_AFTER_S or failed:
        progress.say(
            stage.name,
            f"done in {duration(seconds)}: {counts['rows_ok']:,} rows"
            + (f", {failed:,} failed" if failed else ""),
        )
    return Done(stage, artifact, was_stored=False)


def _check_failures(done: Done, allowed: float) -> None:
    counts = done.artifact.counts
    failed = sum(counts["failed"].values())
    if failed > allowed * counts["rows_in"]:
        raise TooManyFailedRowsError(done.stage.name, done.artifact, allowed)
