"""The record of a run, runs/<name>/. It is written at the start, so that a killed run can be
inspected and resumed, and completed at the end of any outcome."""

import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import yaml

from gist_ray.errors import UserError
from gist_ray.run.acquire import PATIENCE_S, acquire
from gist_ray.run.environment import environment
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.heartbeat import Heartbeat, Listener
from gist_ray.run.job import Job
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
    job: Job,
    progress: Progress,
    *,
    wanted: Collection[str] | None = None,
    until: str | None = None,
    listeners: Sequence[Listener] = (),
    hardware: Callable[[], Mapping[str, float]] = dict,
) -> Iterator[Heartbeat]:
    """Writes the record of a job and renews its lease while the block runs; yields the heartbeat.

    Args:
        wanted: names of the stages that it will make; None for all.
        until: what the job was told to stop after.
        hardware: what the cluster has, asked at the end.

    Raises UserError if another living process runs the same, and LeaseLostError if one has taken
    the run over meanwhile, to which its record then belongs.
    """
    store = ArtifactStore(job.root)
    folder = run_folder(store.root, job.name)
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
        config_yaml = yaml.safe_dump(asdict(job.config), sort_keys=False, allow_unicode=True)
        storage.write_text(storage.join(folder, CONFIG_FILE), config_yaml)
        plan = _plan(job, wanted, until)
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
                    metrics = _metrics(
                        plan, outcome, message, store=store, progress=progress, hardware=hardware
                    )
                    storage.write_json(storage.join(folder, METRICS_FILE), metrics)
            except Exception as error:
                if outcome == "finished":
                    raise
                # what ended the run is what its owner has to hear of
                progress.say("run", f"how it ended could not be written down ({error})")


def _plan(job: Job, wanted: Collection[str] | None, until: str | None) -> Plan:
    return {
        "name": job.name,
        "command": job.command,
        "started": time.time(),
        "until": until,
        "process": process_lease(),
        "environment": environment(),
        "stages": [
            {
                "name": stage.name,
                "kind": stage.kind,
                "group": stage.group,
                "fingerprint": stage.fingerprint,
                "inputs": stage.input_fingerprints,
                "num_rows": stage.num_rows,
                "wanted": wanted is None or stage.name in wanted,
            }
            for stage in job.stages
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
    *,
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
