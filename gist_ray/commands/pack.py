"""`gist-ray pack`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.datasets.packing.config import PackConfig


def pack_config() -> "type[PackConfig]":
    from gist_ray.datasets.packing.config import PackConfig

    return PackConfig


def run(config: "PackConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.datasets.packing.job import pack_job
    from gist_ray.run.run_job import run_job

    run_job(pack_job(config), plan_only=arguments.plan)


COMMAND = configured(
    "pack",
    "Pack a data set of many small image files into Parquet shards",
    Work("pack", pack_config, run, add_plan_argument),
    examples="""
gist-ray pack data.path=s3://bucket/images out=s3://bucket/packed
gist-ray run data=packed data.path=s3://bucket/packed ...
""",
    about="A killed pack goes on with the same command.",
)
