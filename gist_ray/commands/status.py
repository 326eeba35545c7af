"""`gist-ray status`."""

import argparse
import sys

from gist_ray.commands.command import Command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", help="the root of the runs: a folder or s3://bucket/prefix")
    parser.add_argument("--run", metavar="NAME", help="one run; without it all are listed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help="show it anew until the run ends")


def run(arguments: argparse.Namespace) -> None:
    from gist_ray.operate.show_status import list_runs, show_run

    if arguments.run is None:
        list_runs(arguments.root, as_json=arguments.json)
        return
    fine = show_run(arguments.root, arguments.run, as_json=arguments.json, watch=arguments.watch)
    sys.exit(0 if fine else 1)


COMMAND = Command(
    name="status",
    summary="Show how far a run is: rows, rates, what is left, failures by kind",
    examples="""
gist-ray status results                               # all runs
gist-ray status results --run leaves --watch
gist-ray status s3://bucket/gist --run leaves --json
""",
    run=run,
    add_arguments=add_arguments,
    about="""\
It reads the store alone, so it works for a run on another machine and for a dead one. Exit codes:
0 finished or running, 1 failed, interrupted or dead, 2 there is no such run.""",
)
