"""`gist-ray run`, and the same from Python: `gist_ray.run`."""

import argparse
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.commands.finished import FinishedRun
    from gist_ray.study.config import RunConfig

CONFIG_NAME = "config"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plan_argument(parser)
    parser.add_argument(
        "--until", metavar="STAGE", help='stop after the stages that begin so, such as "clean"'
    )


def run_config() -> "type[RunConfig]":
    from gist_ray.study.config import RunConfig

    return RunConfig


def run_study(config: "RunConfig", *, plan_only: bool = False, until: str | None = None) -> None:
    """Plans, runs and reports a study. Raises UserError before any work, or
    TooManyFailedRowsError."""
    from gist_ray.run.run_job import run_job
    from gist_ray.study.job import study_job

    run_job(study_job(config), plan_only=plan_only, until=until)


def run_from_python(
    overrides: Sequence[str] = (), config_dir: str | PathLike[str] | None = None
) -> "FinishedRun":
    """Runs a study and returns the finished run; see `gist_ray.run`."""
    from gist_ray.commands.finished import FinishedRun
    from gist_ray.settings.check import build
    from gist_ray.settings.commandline import compose_values

    own = None if config_dir is None else Path(config_dir)
    config = build(run_config(), compose_values(CONFIG_NAME, list(overrides), own))
    run_study(config)
    return FinishedRun(config.root, config.name)


COMMAND = configured(
    "run",
    "Run a study from labelled images to a report; what is stored is not made again",
    Work(
        CONFIG_NAME,
        run_config,
        lambda config, words: run_study(config, plan_only=words.plan, until=words.until),
        add_arguments,
    ),
    examples="""
gist-ray run                                          # the embedded set, on a CPU
gist-ray run --plan experiment=butterflies            # what there is to make
gist-ray run name=leaves data=image_folder data.path=/data/leaves prompts=generic clip=vit_b_32
gist-ray run ... --until clean                        # only as far as the cleaned texts
gist-ray run root=s3://bucket/gist data=cub data.path=s3://bucket/CUB_200_2011 prompts=birds
""",
)
