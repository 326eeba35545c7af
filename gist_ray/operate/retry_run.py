"""Retries of a run's failed rows, after which the run is completed."""

from collections import Counter
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.table import Table

from gist_ray.errors import UserError
from gist_ray.operate.jobs import read_job
from gist_ray.operate.retry import Candidate, candidates, retry
from gist_ray.run.cluster import cluster_resources, connect
from gist_ray.run.progress import Progress
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.record import recorded
from gist_ray.run.recorded_stages import recorded_stages
from gist_ray.run.run_job import make
from gist_ray.run.runs import check_root, read_plan
from gist_ray.run.stage import Stage
from gist_ray.run.warm import warm_workers
from gist_ray.store.artifacts import ArtifactStore


@warm_workers()
def retry_run(root: str, name: str, kinds: Collection[str] | None, *, plan_only: bool) -> None:
    """Tries the rows that failed by these kinds (None: any) again in all stages of a run, then
    makes the missing stages and the results.

    Where the run could not go on (its data set is not there), the plan is that of its record.
    Raises UserError before any work, or TooManyFailedRowsError as a run does.
    """
    check_root(root)
    try:
        job = read_job(root, name)
    except UserError as error:
        if not plan_only or not (stages := recorded_stages(ArtifactStore(root), name)):
            raise
        print(f"{name}: as it is stored; it could not go on now: {' '.join(error.problems)}")
        found = candidates([*stages.values()], ArtifactStore(root), kinds)
        print_retries(name, found)
        return
    store = ArtifactStore(job.root)
    say_what_changed(root, name, job.stages)
    found = candidates(job.stages, store, kinds)
    print_retries(name, found)
    if plan_only:
        return
    progress = Progress()
    with recorded(
        job, progress, listeners=[RayMetrics(name)], hardware=cluster_resources
    ) as heartbeat:
        if found:
            connect()
        for candidate in found:
            # It may have been made from what came well just now, and be gone.
            if candidate.stage.find(store):
                retry(candidate, store, progress, heartbeat=heartbeat)
        make(job, job.stages, progress, leases=heartbeat)


def say_what_changed(root: str, name: str, stages: Sequence[Stage]) -> None:
    """Prints the stages that differ from the run's plan because the data, a model or this program
    has changed. Their failed rows are not found, because these stages are made anew as a whole."""
    planned = read_plan(root, name)
    before = {stage["name"]: stage["fingerprint"] for stage in planned["stages"]} if planned else {}
    changed = [s.name for s in stages if before.get(s.name, s.fingerprint) != s.fingerprint]
    if changed:
        print(
            f"{name}: since its last start the data, a model or this program has changed, so "
            f"{len(changed)} stages are made anew as a whole: {', '.join(changed)}."
        )


def print_retries(name: str, found: Sequence[Candidate]) -> None:
    if not found:
        print(f"{name}: no failed rows of these kinds are stored.")
        return
    table = Table(title=f"Failed rows of {name} to try again", title_justify="left")
    for column in ("stage", "rows", "then made anew"):
        table.add_column(column)
    for candidate in found:
        rows = ", ".join(f"{n:,} {kind}" for kind, n in sorted(candidate.kinds.items()))
        anew = Counter(kind for kind, _ in candidate.made_from_it)
        shown = ", ".join(f"{number} {kind}" for kind, number in anew.items())
        table.add_row(candidate.stage.name, rows, shown or "nothing")
    Console().print(table)
