"""`gist-ray export`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, configured

if TYPE_CHECKING:
    from gist_ray.predict.config import ExportConfig


def export_config() -> "type[ExportConfig]":
    from gist_ray.predict.config import ExportConfig

    return ExportConfig


def run(config: "ExportConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.predict.export import export_classifier

    about = export_classifier(config).about
    print(f"Classifier: {config.out} ({about['features']}, {about['method']}; val: {about['val']})")


COMMAND = configured(
    "export",
    "Make a classifier of a finished run: a folder that needs nothing else",
    Work("export", export_config, run),
    examples="""
gist-ray export run=results/runs/leaves out=classifiers/leaves
gist-ray export run=results/runs/leaves out=classifiers/plain features=frozen method=zero_shot_name
""",
    about="""\
The folder holds the model, one method calibrated on val, class names and texts. The method is
chosen by val unless it is named.""",
)
