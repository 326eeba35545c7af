"""Prints the state of runs, once or until they end."""

import json
import time
from dataclasses import asdict

from rich.console import Console
from rich.live import Live

from gist_ray.errors import UserError
from gist_ray.operate.status import RunStatus, read_status
from gist_ray.operate.status_table import run_table, runs_table
from gist_ray.run.lease import BEAT_S
from gist_ray.run.runs import check_root, run_names

FINE = ("finished", "running")


def list_runs(root: str, *, as_json: bool) -> None:
    """Prints all runs below `root`, the oldest first. Raises UserError if there is none."""
    check_root(root)
    found = (read_status(root, name, with_stages=False) for name in run_names(root))
    runs = [run for run in found if run is not None]
    if not runs:
        raise UserError(f"{root}: there is no run here.")
    if as_json:
        print(json.dumps([asdict(run) for run in runs], indent=2))
    else:
        Console().print(runs_table(sorted(runs, key=lambda run: run.started or 0)))


def show_run(root: str, name: str, *, as_json: bool, watch: bool) -> bool:
    """Prints one run; returns whether it has finished or is running.

    watch: print it anew until it ends; not together with `as_json`.

    Raises UserError if there is no such run.
    """
    check_root(root)
    run = _status(root, name)
    if as_json:
        print(json.dumps(asdict(run), indent=2))
    elif watch:
        run = _watch(root, run)
    else:
        Console().print(run_table(run))
    return run.state in FINE


def _status(root: str, name: str) -> RunStatus:
    run = read_status(root, name)
    if run is None:
        known = ", ".join(run_names(root)) or "none"
        raise UserError(f"--run {name}: there is no such run in {root}. There are: {known}.")
    return run


def _watch(root: str, run: RunStatus) -> RunStatus:
    with Live(run_table(run), auto_refresh=False) as live:
        while run.state == "running":
            time.sleep(BEAT_S)
            run = _status(root, run.name)
            live.update(run_table(run), refresh=True)
    return run
