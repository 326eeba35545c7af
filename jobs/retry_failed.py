"""Tries the failed rows of a run again, and makes anew what is made from those that come well.

By default only kinds of errors that may be gone by now (throttled, network, llm_error). Then the
run goes on to its end, with the exit code of the pipeline.
"""

import argparse

from gist_ray.schema import TRANSIENT_KINDS
from gist_ray.settings.commandline import exit_codes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", help="the root of the run: a folder or s3://bucket/prefix")
    parser.add_argument("--run", metavar="NAME", required=True)
    parser.add_argument(
        "--kinds",
        default=",".join(TRANSIENT_KINDS),
        help="kinds of errors, separated by commas, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--plan", action="store_true", help="show what would be tried and made anew, and stop"
    )
    arguments = parser.parse_args()
    with exit_codes():
        from gist_ray.operate.retry_run import retry_run  # torch and Ray only after --help

        kinds = None if arguments.kinds == "all" else set(arguments.kinds.split(","))
        retry_run(arguments.root, arguments.run, kinds, plan_only=arguments.plan)


if __name__ == "__main__":
    main()
