"""`gist-ray export`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.predict.config import ExportConfig


def export_config() -> "type[ExportConfig]":
    from gist_ray.predict.config import ExportConfig

    return ExportConfig


def run(config: "ExportConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.predict.export import export_job
    from gist_ray.run.run_job import run_job

    run_job(export_job(config), plan_only=arguments.plan)


COMMAND = configured(
    "export",
    "Make a classifier of a finished run: a folder that needs nothing else",
    Work("export", export_config, run, add_plan_argument),
    examples="""
gist-ray export run=results/runs/leaves out=classifiers/leaves
gist-ray export run=results/runs/leaves out=classifiers/plain features=frozen method=zero_shot_name
""",
    about="""\
The folder holds the model, one method calibrated on val, class names and texts. The method is
chosen by val unless it is named.""",
)
