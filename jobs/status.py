"""How far a run is, from the store alone: rows, rates, what is left, failures by kind.

Works for a run on another machine and for a dead one. Exit codes: 0 finished or running, 1 failed,
interrupted or dead, 2 there is no such run.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict

from rich.console import Console
from rich.live import Live

from gist_ray.errors import UserError
from gist_ray.operate.status import RunStatus, read_status
from gist_ray.operate.status_table import run_table, runs_table
from gist_ray.run.lease import BEAT_S
from gist_ray.run.runs import check_root, run_names
from gist_ray.settings.commandline import exit_codes

FINE = ("finished", "running")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", help="the root of the runs: a folder or s3://bucket/prefix")
    parser.add_argument("--run", metavar="NAME", help="one run; without it all are listed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="show it anew until the run ends")
    arguments = parser.parse_args()
    with exit_codes():
        check_root(arguments.root)
        if arguments.run is None:
            _list_runs(arguments.root, arguments.json)
            return
        run = _status(arguments.root, arguments.run)
        if arguments.watch and not arguments.json:
            run = _watch(arguments.root, run)
        elif arguments.json:
            print(json.dumps(asdict(run), indent=2))
        else:
            Console().print(run_table(run))
        sys.exit(0 if run.state in FINE else 1)


def _list_runs(root: str, as_json: bool) -> None:
    found = (read_status(root, name, with_stages=False) for name in run_names(root))
    runs = [run for run in found if run is not None]
    if not runs:
        raise UserError(f"{root}: there is no run here.")
    if as_json:
        print(json.dumps([asdict(run) for run in runs], indent=2))
    else:
        Console().print(runs_table(sorted(runs, key=lambda run: run.started or 0)))


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


if __name__ == "__main__":
    main()
