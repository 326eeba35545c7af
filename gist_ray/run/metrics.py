"""Metrics of the stages of a run, from the store and from the progress of this process."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from gist_ray.run.progress import StageProgress
from gist_ray.run.runs import PlannedStage, StageMetrics
from gist_ray.store.artifacts import Artifact, ArtifactStore

THREADS = 16


def find_all(store: ArtifactStore, stages: Sequence[PlannedStage]) -> list[Artifact | None]:
    """Returns the artifact of each stage, None where it is not stored. Requests run in parallel,
    because each takes a round trip on S3."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(lambda s: store.find(s["kind"], s["fingerprint"]), stages))


def stage_metrics(
    stages: Sequence[PlannedStage], store: ArtifactStore, seen: Sequence[StageProgress]
) -> list[StageMetrics]:
    """Returns one entry per planned stage. seen: the stages that this process worked on."""
    by_name = {state.name: state for state in seen}
    return [
        _of_stage(stage, artifact, by_name)
        for stage, artifact in zip(stages, find_all(store, stages), strict=True)
    ]


def _of_stage(
    stage: PlannedStage, artifact: Artifact | None, by_name: Mapping[str, StageProgress]
) -> StageMetrics:
    work = by_name.get(stage["name"])
    state = "stored" if artifact else "missing"
    if work:
        state = "stopped" if work.outcome == "running" else work.outcome
    metrics: StageMetrics = {
        "name": stage["name"],
        "kind": stage["kind"],
        "fingerprint": stage["fingerprint"],
        "state": state,
    }
    if artifact:
        counts = artifact.counts
        metrics["rows_in"], metrics["rows_ok"] = counts["rows_in"], counts["rows_ok"]
        metrics["failed"], metrics["seconds"] = counts["failed"], artifact.info["seconds"]
    if work:
        metrics["unit"], metrics["done"], metrics["total"] = work.unit, work.done, work.total
        metrics["rate"], metrics["values"] = work.rate, work.values
        if not artifact:
            metrics["failed"] = work.failed
            metrics["seconds"] = work.seconds or 0.0
        if tokens := work.counts.get("tokens"):
            metrics["tokens"] = tokens
            if work.rate is not None:
                new = work.done - work.already
                metrics["tokens_per_s"] = round(tokens * work.rate / max(new, 1), 3)
    return metrics
