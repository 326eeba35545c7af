"""The record of a run, runs/<name>/: written when it starts, so that a dead run can be looked
into and gone on with, and completed when it ends, however it ends."""

import resource
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import yaml

from gist_ray.errors import UserError
from gist_ray.operate.life import PATIENCE_S, claim, sign, who
from gist_ray.operate.pulse import Listener, Pulse
from gist_ray.run.environment import environment
from gist_ray.run.flow import Stage, TooManyFailedRowsError
from gist_ray.run.metrics import stage_metrics
from gist_ray.run.progress import Progress
from gist_ray.run.runs import (
    CONFIG_FILE,
    METRICS_FILE,
    PLAN_FILE,
    SIGN_FILE,
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
) -> Iterator[Pulse]:
    """While the run goes on. Leaves its record, and signs of life through the Pulse.

    Args:
        config: a settings object.
        stages: all of the run's stages, also those after `until`.
        wanted: keys of those that it will make; None for all.
        hardware: what the cluster has, asked at the end.

    Raises UserError if another process runs the same, and goes on living.
    """
    folder = run_folder(store.root, name)
    own_sign = storage.join(folder, SIGN_FILE)
    died = claim(own_sign, sign(), lambda message: progress.say("run", message), PATIENCE_S)
    if died:
        progress.say("run", f"{who(died)} died in this run; goes on from what it stored")
    config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)  # type: ignore[call-overload]
    storage.write_text(storage.join(folder, CONFIG_FILE), config_yaml)
    plan = _plan(name, stages, wanted, until)
    storage.write_json(storage.join(folder, PLAN_FILE), plan)
    outcome: Outcome = "finished"
    message = ""
    with Pulse(own_sign, progress, listeners) as pulse:
        try:
            yield pulse
        except BaseException as error:
            outcome, message = _outcome(error)
            raise
        finally:
            try:
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
        "process": sign(),
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
