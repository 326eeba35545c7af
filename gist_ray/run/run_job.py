"""Runs a job: prints the plan, writes the record, makes the stages and writes the results."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gist_ray.errors import UserError
from gist_ray.run.cluster import (
    cluster_resources,
    connect,
    cpus_without_connecting,
    is_local,
    require_shared,
)
from gist_ray.run.flow import Leases, run_flow
from gist_ray.run.job import Job, folders_of, problems_of
from gist_ray.run.progress import Progress
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.record import recorded
from gist_ray.run.stage import Done, Stage, by_group, in_order
from gist_ray.store.artifacts import ArtifactStore


def run_job(job: Job, *, plan_only: bool = False, until: str | None = None) -> None:
    """Prints the plan, makes the stages that are not stored, and writes the results.

    until: stop after the stages whose name begins so, and all they need. Raises UserError before
    any work, or TooManyFailedRowsError.
    """
    if problems := problems_of(job):
        raise UserError(problems)
    stages = _up_to(job.stages, until)
    store = ArtifactStore(job.root)
    print_plan(job, store, stages)
    if plan_only:
        return
    progress = Progress()
    with recorded(
        job,
        progress,
        wanted={stage.name for stage in stages},
        until=until,
        listeners=[RayMetrics(job.name)],
        hardware=cluster_resources,
    ) as heartbeat:
        make(job, stages, progress, leases=heartbeat)


def make(job: Job, stages: Sequence[Stage], progress: Progress, *, leases: Leases) -> None:
    """Makes the missing ones of `stages`, and the results if these are all stages of the job."""
    store = ArtifactStore(job.root)
    done = run_stages(job, stages, progress, leases=leases)
    console = Console()
    if len(stages) == len(job.stages):
        lines = job.finish(store, done)
    else:
        lines = [f"{stage.name}: {done[stage.name].artifact.uri}" for stage in stages[-1:]]
    for line in lines:
        console.print(f"\n{line}", soft_wrap=True, highlight=False, markup=False)


def run_stages(
    job: Job, stages: Sequence[Stage], progress: Progress, *, leases: Leases
) -> dict[str, Done]:
    """Makes the missing ones of `stages`; returns all of them by name."""
    store = ArtifactStore(job.root)
    needs_cluster = any(stage.resources.cpus for stage in stages if not stage.find(store))
    num_cpus = connect() if needs_cluster else cpus_without_connecting()
    if needs_cluster:
        require_shared(folders_of(job))
    return run_flow(
        stages,
        store,
        progress,
        num_cpus=min(num_cpus, cpus_without_connecting()) if is_local() else num_cpus,
        num_gpus=cluster_resources().get("GPU", 0),
        max_failed_fraction=job.max_failed_fraction,
        leases=leases,
    )


def print_plan(job: Job, store: ArtifactStore, stages: Sequence[Stage]) -> None:
    """Prints facts about the data, the stages, and how many of them are stored."""
    table = Table(title=f"Plan of {job.name}", title_justify="left")
    for column in ("stage", "how many", "stored", "rows each", "CPUs each", "where"):
        is_text = column in ("stage", "where")
        table.add_column(column, justify="left" if is_text else "right")
    for group, members in by_group(stages).items():
        found = [stage.find(store) for stage in members]
        num_rows = {artifact.counts["rows_ok"] for artifact in found if artifact}
        num_rows |= {stage.num_rows for stage in members if stage.num_rows is not None}
        shown = f"{min(num_rows):,}" if len(num_rows) == 1 else ""
        if len(num_rows) > 1:
            shown = f"{min(num_rows):,} to {max(num_rows):,}"
        stored = sum(artifact is not None for artifact in found)
        cpus = members[0].resources.cpus
        shown_cpus = "all" if math.isinf(cpus) else f"{cpus:g}"
        missing = [stage for stage, artifact in zip(members, found, strict=True) if not artifact]
        where = ", ".join(dict.fromkeys(stage.where for stage in missing))
        table.add_row(group, str(len(members)), str(stored), shown, shown_cpus, where)
    console = Console()
    console.print()
    for line in [*job.about, f"root {store.root}"]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(table)


def _up_to(stages: Sequence[Stage], until: str | None) -> list[Stage]:
    """Returns the stages whose name begins with `until`, and their inputs."""
    if until is None:
        return list(stages)
    wanted = [stage for stage in stages if stage.name.startswith(until)]
    if not wanted:
        groups = ", ".join(by_group(stages))
        raise UserError(f"--until {until}: no stage begins so. There are: {groups}.")
    return in_order(wanted)
