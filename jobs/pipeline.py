"""GIST from labelled images to a report: what is stored already is not made again."""

import argparse

from gist_ray.settings.commandline import main
from gist_ray.study.config import RunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="check everything, show the plan, stop")
    parser.add_argument(
        "--until", metavar="STAGE", help='stop after the stages that begin so, such as "clean"'
    )


def run(config: RunConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.study.pipeline import run_pipeline  # torch and Ray only once the config is right

    run_pipeline(config, plan_only=arguments.plan, until=arguments.until)


if __name__ == "__main__":
    main(__doc__ or "", "config", RunConfig, run, add_arguments)
