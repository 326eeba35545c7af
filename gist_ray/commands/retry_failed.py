"""`gist-ray retry-failed`."""

import argparse

from gist_ray.commands.command import Command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", help="the root of the run: a folder or s3://bucket/prefix")
    parser.add_argument("--run", metavar="NAME", required=True)
    parser.add_argument(
        "--kinds",
        help="kinds of errors, separated by commas, or all; by default those that may be gone by "
        "now: throttled, network, llm_error",
    )
    parser.add_argument(
        "--plan", action="store_true", help="show what would be tried and made anew, and stop"
    )


def run(arguments: argparse.Namespace) -> None:
    from gist_ray.operate.retry_run import retry_run
    from gist_ray.schema import TRANSIENT_KINDS

    given = arguments.kinds.split(",") if arguments.kinds else TRANSIENT_KINDS
    kinds = None if arguments.kinds == "all" else set(given)
    retry_run(arguments.root, arguments.run, kinds, plan_only=arguments.plan)


COMMAND = Command(
    name="retry-failed",
    summary="Try the failed rows of a run again, and make anew what is made from them",
    examples="""
gist-ray retry-failed results --run leaves --plan
gist-ray retry-failed results --run leaves
gist-ray retry-failed s3://bucket/gist --run leaves --kinds all
""",
    run=run,
    add_arguments=add_arguments,
    about="Then the run goes on to its end, with the exit code of `gist-ray run`.",
)
