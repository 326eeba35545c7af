"""`gist-ray pretrain`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.pretraining.config import PretrainConfig


def pretrain_config() -> "type[PretrainConfig]":
    from gist_ray.pretraining.config import PretrainConfig

    return PretrainConfig


def run(config: "PretrainConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.pretraining.job import pretraining_job
    from gist_ray.run.run_job import run_job

    run_job(pretraining_job(config), plan_only=arguments.plan)


COMMAND = configured(
    "pretrain",
    "Train a small CLIP from random weights, on pictures with captions",
    Work("pretrain", pretrain_config, run, add_plan_argument),
    examples="""
gist-ray pretrain                                     # the embedded CLIP, on drawn pictures
gist-ray pretrain seed=1                              # another of the same quality
gist-ray pretrain captions=data/emoji/captions.parquet out=data/emoji/clip
""",
)
