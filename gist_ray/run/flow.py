"""Stages and the order they run in: a small graph in which every node makes one artifact.

What is stored is not made again; what does not wait for another runs side by side as far as the
CPUs reach.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, Protocol

from gist_ray.run.acquire import LeaseLostError
from gist_ray.run.progress import Progress, duration
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter, fingerprint

Run = Callable[[Mapping[str, Artifact], ArtifactWriter, Progress], None]


class Leases(Protocol):
    """Keep two processes from making the same artifact at once."""

    lost: "Future[None]"
    """Raises once this process has lost the lease of what it works on."""

    def hold(self, key: str, uri: str) -> AbstractContextManager[None]:
        """Entered with a stage's key and the folder of its artifact while it is made; waits where
        another process makes the same."""


class NoLeases:
    """For a store that no other process writes to."""

    def __init__(self) -> None:
        self.lost: Future[None] = Future()

    def hold(self, key: str, uri: str) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True)
class Stage:
    """One node: (its identity, its input artifacts) -> one artifact."""

    key: str
    """What the run calls it, unique in the run: "finetune gist 5-shot seed 1"."""

    kind: str
    """The kind of artifact it makes: "finetune"."""

    identity: Mapping[str, Any]
    """All settings that decide the artifact, as plain values (`identity_of`)."""

    run: Run
    """Reads the inputs by their names and fills the writer."""

    inputs: Mapping[str, "Stage"] = field(default_factory=dict)
    cpus: float = 1
    """CPUs it keeps busy, for what may run beside it."""

    gpus: float = 0
    """GPUs it keeps busy, likewise."""

    num_rows: int | None = None
    """Rows it will make, where that is known beforehand; for the plan."""

    version: int = 1
    """Raised when the code makes another artifact of the same identity and inputs, with a line in
    CHANGELOG.md: what an older version stored is then not found, and made again."""

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.kind, self.identity, self.input_fingerprints, self.version)

    @property
    def input_fingerprints(self) -> dict[str, str]:
        return {name: stage.fingerprint for name, stage in self.inputs.items()}


def family(key: str) -> str:
    """What stages of one kind of work have in common: "finetune gist 5-shot seed 1" is one of
    "finetune"."""
    words = key.split()
    return " ".join(words[:2]) if words[0] in ("embed", "draw", "generate") else words[0]


@dataclass(frozen=True)
class Done:
    """A stage's artifact, and whether this run found it stored."""

    stage: Stage
    artifact: Artifact
    was_stored: bool


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
    """Run what is not stored, inputs first; returns what was made or found, by stage key.

    num_cpus, num_gpus: what stages share. Without a GPU nobody waits for one.
    leases: held while a stage is made.

    Raises TooManyFailedRowsError, or whatever a stage raises, once the stages that were running
    have ended. Ctrl-C does not wait for them: what they have written is whole. Nor does the
    LeaseLostError of `leases`, for another process is at what they do.
    """
    leases = leases or NoLeases()
    by_key = {stage.key: stage for stage in stages}
    order = TopologicalSorter(
        {key: [source.key for source in stage.inputs.values()] for key, stage in by_key.items()}
    )
    order.prepare()
    done: dict[str, Done] = {}
    ready: list[Stage] = []
    running: dict[Future[Done], Stage] = {}
    threads = ThreadPoolExecutor(max_workers=max(1, len(by_key)))
    try:
        while order.is_active():
            ready += [by_key[key] for key in order.get_ready()]
            for stage in list(ready):
                if not _may_start(stage, running.values(), num_cpus, num_gpus):
                    continue
                ready.remove(stage)
                inputs = {name: done[source.key].artifact for name, source in stage.inputs.items()}
                running[threads.submit(_obtain, stage, inputs, store, progress, leases)] = stage
            awaited: list[Future[Any]] = [*running, leases.lost]
            wait(awaited, return_when=FIRST_COMPLETED)
            if leases.lost.done():
                leases.lost.result()
            finished = [future for future in running if future.done()]
            for future in finished:
                stage = running.pop(future)
                done[stage.key] = future.result()
                _check_failures(done[stage.key], max_failed_fraction)
                order.done(stage.key)
    except LeaseLostError:
        raise
    except Exception:
        if running:
            progress.say(stage.key, f"failed; waiting for {len(running)} running stages to end")
        wait(running)
        raise
    finally:
        threads.shutdown(wait=False)
    return {key: done[key] for key in by_key}


def _may_start(stage: Stage, running: Collection[Stage], num_cpus: float, num_gpus: float) -> bool:
    """Whether there are CPUs and GPUs, and nobody else is making the same artifact: stages of two
    names can come to the same.

    Ray would let a stage wait too, but not for as long as a training takes: a wait that long looks
    like machines that do not come back.
    """
    if any((stage.kind, stage.fingerprint) == (s.kind, s.fingerprint) for s in running):
        return False
    cpus, gpus = (sum(getattr(s, of) for s in running) for of in ("cpus", "gpus"))
    fits = cpus + stage.cpus <= num_cpus and (
        not num_gpus or not stage.gpus or gpus + stage.gpus <= num_gpus
    )
    return not running or fits


def _obtain(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    store: ArtifactStore,
    progress: Progress,
    leases: Leases,
) -> Done:
    if stored := store.find(stage.kind, stage.fingerprint):
        return Done(stage, stored, was_stored=True)
    writer = writer_of(stage, store)
    with leases.hold(stage.key, writer.uri):
        if stored := store.find(stage.kind, stage.fingerprint):  # by another process meanwhile
            return Done(stage, stored, was_stored=True)
        return _make(stage, inputs, writer, store, progress)


def writer_of(stage: Stage, store: ArtifactStore) -> ArtifactWriter:
    """Returns a writer of the stage's artifact."""
    inputs = stage.input_fingerprints
    return store.writer(stage.kind, stage.key, stage.identity, inputs, stage.version)


def _make(
    stage: Stage,
    inputs: Mapping[str, Artifact],
    writer: ArtifactWriter,
    store: ArtifactStore,
    progress: Progress,
) -> Done:
    start = time.monotonic()
    progress.say(stage.key, "starts")
    with progress.running(stage.key, stage.kind, writer.uri):
        stage.run(inputs, writer, progress)
        seconds = time.monotonic() - start
        if stored := store.find(stage.kind, stage.fingerprint):
            # Another run was quicker, and others may be reading what it has listed.
            return Done(stage, stored, was_stored=True)
        artifact = writer.publish(seconds)
    counts = artifact.counts
    failed = sum(counts["failed"].values())
    progress.say(
        stage.key,
        f"done in {duration(seconds)}: {counts['rows_ok']:,} rows"
        + (f", {failed:,} failed" if failed else ""),
    )
    return Done(stage, artifact, was_stored=False)


def _check_failures(done: Done, allowed: float) -> None:
    counts = done.artifact.counts
    failed = sum(counts["failed"].values())
    if failed > allowed * counts["rows_in"]:
        raise TooManyFailedRowsError(done.stage.key, done.artifact, allowed)
