"""The record of a run, runs/<name>/: written when it starts, so that a dead run can be looked
into and gone on with, and completed when it ends, however it ends."""

import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import yaml

from gist_ray.errors import UserError
from gist_ray.run.acquire import PATIENCE_S, acquire
from gist_ray.run.environment import environment
from gist_ray.run.flow import Stage, TooManyFailedRowsError
from gist_ray.run.heartbeat import Heartbeat, Listener
from gist_ray.run.lease import process_lease, who
from gist_ray.run.metrics import stage_metrics
from gist_ray.run.progress import Progress
from gist_ray.run.runs import (
    CONFIG_FILE,
    LEASE_FILE,
    METRICS_FILE,
    PLAN_FILE,
    Outcome,
    Plan,
    RunMetrics,
    run_folder,
)
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore


@contextmanager
def recorded(
    name: str,
    config: object,
    store: ArtifactStore,
    stages: Sequence[Stage],
    progress: Progress,
    *,
    wanted: Collection[str] | None = None,
    until: str | None = None,
    listeners: Sequence[Listener] = (),
    hardware: Callable[[], Mapping[str, float]] = dict,
) -> Iterator[Heartbeat]:
    """While the run goes on. Leaves its record, and heartbeats in its lease.

    Args:
        config: a settings object.
        stages: all of the run's stages, also those after `until`.
        wanted: keys of those that it will make; None for all.
        hardware: what the cluster has, asked at the end.

    Raises UserError if another living process runs the same, and LeaseLostError if one has taken
    the run over meanwhile, to which its record then belongs.
    """
    folder = run_folder(store.root, name)
    lease = acquire(
        storage.join(folder, LEASE_FILE),
        lambda message: progress.say("run", message),
        patience_s=PATIENCE_S,
    )
    if died := lease.replaced:
        progress.say("run", f"{who(died)} died in this run; goes on from what it stored")
    outcome: Outcome = "finished"
    message = ""
    with Heartbeat(progress, run=lease, listeners=listeners) as heartbeat:
        config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)  # type: ignore[call-overload]
        storage.write_text(storage.join(folder, CONFIG_FILE), config_yaml)
        plan = _plan(name, stages, wanted, until)
        storage.write_json(storage.join(folder, PLAN_FILE), plan)
        try:
            yield heartbeat
            heartbeat.check()
        except BaseException as error:
            outcome, message = _outcome(error)
            raise
        finally:
            try:
                if not heartbeat.has_lost_run:
                    metrics = _metrics(plan, outcome, message, store, progress, hardware)
                    storage.write_json(storage.join(folder, METRICS_FILE), metrics)
            except Exception as error:
                if outcome == "finished":
                    raise
                # what ended the run is what its owner has to hear of
                progress.say("run", f"how it ended could not be written down ({error})")


def _plan(
    name: str, stages: Sequence[Stage], wanted: Collection[str] | None, until: str | None
) -> Plan:
    return {
        "name": name,
        "started": time.time(),
        "until": until,
        "process": process_lease(),
        "environment": environment(),
        "stages": [
            {
                "key": stage.key,
                "kind": stage.kind,
                "fingerprint": stage.fingerprint,
                "inputs": stage.input_fingerprints,
                "num_rows": stage.num_rows,
                "wanted": wanted is None or stage.key in wanted,
            }
            for stage in stages
        ],
    }


def _outcome(error: BaseException) -> tuple[Outcome, str]:
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted", ""
    if isinstance(error, UserError | TooManyFailedRowsError):
        return "failed", str(error)
    return "failed", f"{type(error).__name__}: {error}"


def _metrics(
    plan: Plan,
    outcome: Outcome,
    message: str,
    store: ArtifactStore,
    progress: Progress,
    hardware: Callable[[], Mapping[str, float]],
) -> RunMetrics:
    ended = time.time()
    return {
        "name": plan["name"],
        "outcome": outcome,
        "message": message,
        "started": plan["started"],
        "ended": ended,
        "seconds": round(ended - plan["started"], 3),
        # Linux counts in KiB
        "peak_driver_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1),
        "hardware": dict(hardware()),
        "environment": plan["environment"],
        "stages": stage_metrics(plan["stages"], store, progress.stages()),
    }
