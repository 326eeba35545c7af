"""Progress of a run, read from the store alone: the process that wrote it may be dead."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from gist_ray.errors import UserError
from gist_ray.run.heartbeat import PROGRESS_FILE
from gist_ray.run.lease import Lease, is_dead, read_lease, silent_for
from gist_ray.run.metrics import THREADS, find_all
from gist_ray.run.runs import (
    LEASE_FILE,
    Plan,
    PlannedStage,
    RunMetrics,
    StageMetrics,
    read_metrics,
    read_plan,
    read_stages,
    run_folder,
)
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore

RunState = Literal["running", "finished", "failed", "interrupted", "dead"]
StageState = Literal[
    "stored", "running", "waiting", "dead", "failed", "stopped", "deleted", "not asked for"
]


@dataclass(frozen=True)
class StageStatus:
    """Status of one stage of a run. All times are in seconds; None is unknown."""

    name: str
    kind: str
    group: str
    state: StageState
    done: int = 0
    """Rows that are stored, well or failed; steps of a training that runs."""
    total: int | None = None
    unit: str = "rows"
    failed: Mapping[str, int] = field(default_factory=dict)
    """Kind of error -> rows."""
    rate: float | None = None
    eta_s: float | None = None
    silent_s: float | None = None
    """Since its last heartbeat."""
    seconds: float | None = None
    """Seconds that a stored stage took."""
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStatus:
    name: str
    state: RunState
    message: str
    started: float | None
    """Seconds since 1970, as are all points in time here."""
    ended: float | None
    silent_s: float | None
    stages: list[StageStatus] = field(default_factory=list)
    eta_s: float | None = None
    """Seconds until the run ends, without the groups in `unforeseen`."""
    unforeseen: list[str] = field(default_factory=list)
    """Groups of stages of which none has run yet, so that their duration is unknown."""


def read_status(root: str, name: str, *, with_stages: bool = True) -> RunStatus | None:
    """Returns the status of a run from the store; None if there is no run of that name.

    with_stages=False costs three reads whatever the run's size. Raises UserError for the stages of
    a run that an older version recorded.
    """
    store = ArtifactStore(root)
    plan = read_plan(root, name)
    if plan is None:
        return _of_before_plans(root, name)
    metrics = read_metrics(root, name)
    if metrics is not None and metrics["started"] != plan["started"]:
        metrics = None  # of an earlier start
    lease = read_lease(storage.join(run_folder(root, name), LEASE_FILE)) or plan["process"]
    state = _run_state(metrics, lease)
    stages = _stages(store, plan, metrics, run=state) if with_stages else []
    eta_s, unforeseen = _eta(stages) if state == "running" else (None, [])
    return RunStatus(
        name=name,
        state=state,
        message=metrics["message"] if metrics else "",
        started=plan["started"],
        ended=metrics["ended"] if metrics else None,
        silent_s=None if metrics else silent_for(lease),
        stages=stages,
        eta_s=eta_s,
        unforeseen=unforeseen,
    )


def _of_before_plans(root: str, name: str) -> RunStatus | None:
    """Returns the status of a run of a version without plans, whose stages had a key and named
    their kind `stage`; None if there is no such run."""
    rows = read_stages(root, name)
    if rows is None:
        return None
    stages = [
        StageStatus(
            row["key"],
            row["stage"],
            row["key"],
            "stored",
            done=row["rows_in"],
            total=row["rows_in"],
            failed=row["failed"],
            seconds=row["seconds"],
        )
        for row in rows
    ]
    return RunStatus(name, "finished", "", None, None, None, stages)


def _run_state(metrics: RunMetrics | None, lease: Lease) -> RunState:
    if metrics is not None:
        return metrics["outcome"]
    return "dead" if is_dead(lease) else "running"


def _stages(
    store: ArtifactStore, plan: Plan, metrics: RunMetrics | None, *, run: RunState
) -> list[StageStatus]:
    planned = plan["stages"]
    if any("name" not in stage for stage in planned):
        raise UserError(
            f"{run_folder(store.root, plan['name'])}: an older version of gist-ray left this "
            "record. Start the run again, which writes it anew, or delete this folder."
        )
    artifacts = find_all(store, planned)

    def lease_of(stage: PlannedStage, artifact: Artifact | None) -> Lease | None:
        if artifact:
            return None
        folder = store.location(stage["kind"], stage["fingerprint"])
        return read_lease(storage.join(folder, PROGRESS_FILE))

    with ThreadPoolExecutor(THREADS) as threads:
        leases = list(threads.map(lease_of, planned, artifacts))
    ended = {row["name"]: row for row in metrics["stages"]} if metrics else {}
    return [
        _stored(stage, artifact) if artifact else _unfinished(stage, lease, ended, run=run)
        for stage, artifact, lease in zip(planned, artifacts, leases, strict=True)
    ]


def _stored(stage: PlannedStage, artifact: Artifact) -> StageStatus:
    counts = artifact.counts
    return StageStatus(
        stage["name"],
        stage["kind"],
        stage["group"],
        "stored",
        done=counts["rows_in"],
        total=counts["rows_in"],
        failed=counts["failed"],
        seconds=artifact.info["seconds"],
    )


def _unfinished(
    stage: PlannedStage, lease: Lease | None, ended: Mapping[str, StageMetrics], *, run: RunState
) -> StageStatus:
    name, kind, group = stage["name"], stage["kind"], stage["group"]
    last = ended.get(name)
    if last and last["state"] in ("failed", "stopped"):
        return StageStatus(
            name,
            kind,
            group,
            "failed" if last["state"] == "failed" else "stopped",
            done=last.get("done", 0),
            total=last.get("total"),
            unit=last.get("unit", "rows"),
            failed=last.get("failed", {}),
            seconds=last.get("seconds"),
        )
    if not lease:
        was_there = last is not None and last["state"] in ("stored", "made")
        state: StageState = "waiting" if stage["wanted"] else "not asked for"
        state = "deleted" if was_there else state
        return StageStatus(name, kind, group, state, total=stage["num_rows"])
    is_alive = not is_dead(lease)
    done, total, rate = lease.get("done", 0), lease.get("total"), lease.get("rate")
    silent_s = silent_for(lease)
    left_s = (total - done) / rate if total and rate else None
    return StageStatus(
        name,
        kind,
        group,
        "running" if is_alive else "dead" if run != "running" else "waiting",
        done=done,
        total=total if total is not None else stage["num_rows"],
        unit=lease.get("unit", "rows"),
        failed=lease.get("failed", {}),
        rate=rate if is_alive else None,
        eta_s=max(0.0, left_s - silent_s) if is_alive and left_s is not None else None,
        silent_s=silent_s,
        seconds=time.time() - lease["started"] if is_alive and "started" in lease else None,
        values=lease.get("values", {}),
    )


def _eta(stages: Sequence[StageStatus]) -> tuple[float | None, list[str]]:
    """Returns the seconds until the run ends, and the groups of unknown duration, which come on
    top. Assumes that each waiting stage takes as long as those of its group, and that as many run
    in parallel as now."""
    took: dict[str, list[float]] = {}
    for stage in stages:
        whole = stage.seconds
        if stage.state == "running" and whole is not None:
            whole = whole + stage.eta_s if stage.eta_s is not None else None
        if stage.state in ("stored", "running") and whole is not None:
            took.setdefault(stage.group, []).append(whole)
    left, running, unforeseen = 0.0, [], []
    for stage in stages:
        of_its_like = took.get(stage.group)
        if stage.state == "running" and stage.eta_s is not None:
            running.append(stage.eta_s)
        elif stage.state in ("running", "waiting", "dead"):
            if of_its_like is None:
                unforeseen.append(stage.group)
            else:
                left += sum(of_its_like) / len(of_its_like)
    side_by_side = max(1, sum(stage.state == "running" for stage in stages))
    known = max([(left + sum(running)) / side_by_side, *running])
    return known or None, list(dict.fromkeys(unforeseen))
