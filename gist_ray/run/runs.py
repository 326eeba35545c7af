"""The contents of the records of runs, <root>/runs/<name>/, and functions that read them."""

from typing import Any, Literal, NotRequired, TypedDict

import yaml

from gist_ray.errors import UserError
from gist_ray.store import folders, reachable, storage

RUNS = "runs"
CONFIG_FILE = "config.yaml"
PLAN_FILE = "plan.json"
STAGES_FILE = "stages.json"
METRICS_FILE = "metrics.json"
LEASE_FILE = "alive.json"

Outcome = Literal["finished", "failed", "interrupted"]


class PlannedStage(TypedDict):
    """A stage of a run, before any work."""

    name: str
    kind: str
    # the row that alike stages share in tables
    group: str
    fingerprint: str
    # name of the input -> its fingerprint
    inputs: dict[str, str]
    num_rows: int | None
    # False where the run stops before it (--until)
    wanted: bool


class Plan(TypedDict):
    """plan.json: when a run was last started, and the stages that it was to make."""

    name: str
    # the command that made it: "run", "predict" ...
    command: str
    # seconds since 1970; the metrics.json with the same one tells how it ended
    started: float
    until: str | None
    # the process that wrote it, as in its lease
    process: dict[str, Any]
    environment: dict[str, str]
    stages: list[PlannedStage]


class StageMetrics(TypedDict):
    """Outcome, counts and seconds of one stage of a run."""

    name: str
    kind: str
    fingerprint: str
    # stored (found), made, failed, stopped (by Ctrl-C), or missing (not reached)
    state: str
    rows_in: NotRequired[int]
    rows_ok: NotRequired[int]
    # kind of error -> rows
    failed: NotRequired[dict[str, int]]
    # of the run that made it
    seconds: NotRequired[float]
    # these only where this run did the work: units (images, texts, steps) and how many a second
    unit: NotRequired[str]
    done: NotRequired[int]
    total: NotRequired[int | None]
    rate: NotRequired[float | None]
    tokens: NotRequired[int]
    tokens_per_s: NotRequired[float]
    # such as the last loss
    values: NotRequired[dict[str, float]]


class RunMetrics(TypedDict):
    """metrics.json: outcome, seconds and stages of a run."""

    name: str
    outcome: Outcome
    message: str
    started: float
    ended: float
    seconds: float
    peak_driver_mib: float
    # CPU and GPU of the cluster; nothing where it was not needed
    hardware: dict[str, float]
    environment: dict[str, str]
    stages: list[StageMetrics]


def run_folder(root: str, name: str) -> str:
    return storage.join(storage.absolute(root), RUNS, name)


def check_root(root: str) -> None:
    """Raises UserError if there is no such folder."""
    if why := reachable.why_missing(root):
        raise UserError(f"{root}: {why}.")


def run_names(root: str) -> list[str]:
    """Returns the names of the runs recorded below a root."""
    folder = storage.join(storage.absolute(root), RUNS)
    return folders.folders_in(folder)


def read_config(root: str, name: str) -> dict[str, Any]:
    """Returns the values of the config that a run was last started with.

    Raises UserError if there is none.
    """
    uri = storage.join(run_folder(root, name), CONFIG_FILE)
    try:
        values: dict[str, Any] = yaml.safe_load(storage.read_text(uri))
        return values
    except FileNotFoundError as error:
        known = ", ".join(run_names(root)) or "none"
        raise UserError(
            f"--run {name}: there is no {CONFIG_FILE} of such a run in {root}. There are: {known}."
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{uri}: is not valid YAML ({error}).") from error


def read_plan(root: str, name: str) -> Plan | None:
    """Returns the plan of the run; None for a run of a version without plans."""
    plan: Plan | None = _read(storage.join(run_folder(root, name), PLAN_FILE))
    return plan


def read_metrics(root: str, name: str) -> RunMetrics | None:
    metrics: RunMetrics | None = _read(storage.join(run_folder(root, name), METRICS_FILE))
    return metrics


def read_stages(root: str, name: str) -> list[dict[str, Any]] | None:
    """Returns stages.json of the last time that the run finished; None if there is none."""
    stages: list[dict[str, Any]] | None = _read(storage.join(run_folder(root, name), STAGES_FILE))
    return stages


def _read(uri: str) -> Any:
    try:
        return storage.read_json(uri)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(
            f"{uri}: is not valid JSON ({error}). Start the run again, which writes it anew, or "
            "delete the run's folder."
        ) from error
