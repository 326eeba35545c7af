"""Retries of the failed rows of a run whose kinds of error may not recur.

Artifacts are immutable to their readers, and the fingerprint of what is made from one does not know
how many of its rows failed. So a stage is completed beside its published artifact; only if that
made rows well, everything made from it is deleted, and then it is published anew. Cut short at any
moment, this leaves a store that a run or the next retry mends:

- before the deletion the published artifact stands as it was;
- a deletion that has begun is finished by whoever makes that artifact again (`outdate`);
- between the deletion and the new artifact.json, the stage is one that a run completes.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.operate.inventory import Place, made_from
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.lease import is_dead, is_own, read_lease, who
from gist_ray.run.progress import Progress
from gist_ray.run.runs import LEASE_FILE, read_plan, run_folder, run_names
from gist_ray.run.stage import Stage
from gist_ray.store import folders, storage
from gist_ray.store.artifacts import ARTIFACT_FILE, ERRORS_FILE, Artifact, ArtifactStore
from gist_ray.store.stored_rows import FAILED, forget_failed


@dataclass(frozen=True)
class Candidate:
    """A stage with failed rows that can be tried again."""

    stage: Stage
    artifact: Artifact
    ids: pa.Array
    kinds: Mapping[str, int]
    """Kind -> rows to try again."""
    made_from_it: Sequence[Place]
    """The artifacts to make anew if one of these rows succeeds."""


def candidates(
    stages: Sequence[Stage], store: ArtifactStore, kinds: Collection[str] | None
) -> list[Candidate]:
    """Returns the stored stages with failed rows of these kinds (None: of any kind), in order.

    A stage that is not over rows, such as a broken manifest's, has nothing that could be tried
    again by itself.
    """
    found = []
    for stage in stages:
        artifact = store.find(stage.kind, stage.fingerprint)
        if artifact is None or FAILED not in folders.folders_in(artifact.uri):
            continue
        errors = artifact.read_errors()
        if kinds is not None:
            errors = errors.filter(pc.is_in(errors.column("kind"), pa.array(sorted(kinds))))
        if len(errors):
            ids = errors.column("id").combine_chunks()
            counts = Counter(errors.column("kind").to_pylist())
            found.append(
                Candidate(stage, artifact, ids, counts, made_from(store.root, [stage.fingerprint]))
            )
    return found


def retry(
    candidate: Candidate, store: ArtifactStore, progress: Progress, *, heartbeat: Heartbeat
) -> int:
    """Tries the failed rows of a stage again; returns how many succeeded.

    Raises UserError if another process that is alive works with what would have to be deleted.
    """
    stage, artifact = candidate.stage, candidate.artifact
    writer = stage.writer(store)
    inputs = {
        name: store.find(source.kind, source.fingerprint) for name, source in stage.inputs.items()
    }
    if not all(inputs.values()):
        progress.say(
            stage.name, "what it is made from is not stored; its rows are left as they are"
        )
        return 0
    refuse_if_in_use(store.root, [(stage.kind, stage.fingerprint), *candidate.made_from_it])
    progress.say(stage.name, f"tries {len(candidate.ids):,} failed rows again")
    with (
        heartbeat.hold(stage.name, writer.uri),
        progress.running(stage.name, stage.kind, writer.uri),
    ):
        start = time.monotonic()
        forget_failed(writer, candidate.ids)
        stage.run({name: found for name, found in inputs.items() if found}, writer, progress)
        seconds = time.monotonic() - start
        num_well = sum(part["rows"] for part in writer.parts) - artifact.counts["rows_ok"]
        if num_well:
            # What is furthest from it first: what is left can then still be traced back to it.
            for place in reversed(candidate.made_from_it):
                store.outdate(*place)
            storage.delete(writer.file(ARTIFACT_FILE))
            storage.delete(writer.file(ERRORS_FILE))
            writer.publish(artifact.info["seconds"] + seconds)
    progress.say(
        stage.name,
        f"{num_well:,} of {len(candidate.ids):,} rows came well"
        + (f"; {len(candidate.made_from_it)} artifacts are made anew" if num_well else ""),
    )
    return num_well


def refuse_if_in_use(root: str, wanted: Collection[Place]) -> None:
    """Raises UserError if a living run, other than this process's own, has planned any of these
    artifacts."""
    names = {name for _, name in wanted}
    for run in run_names(root):
        lease = read_lease(storage.join(run_folder(root, run), LEASE_FILE))
        plan = read_plan(root, run)
        if not lease or plan is None or is_own(lease) or is_dead(lease):
            continue
        if names & {stage["fingerprint"] for stage in plan["stages"]}:
            raise UserError(
                f"{run_folder(root, run)}: {who(lease)} is running it with artifacts that would be "
                "made anew. Wait for its end, or end it."
            )
