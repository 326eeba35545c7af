"""`gist-ray pack`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, configured

if TYPE_CHECKING:
    from gist_ray.datasets.packing.config import PackConfig


def pack_config() -> "type[PackConfig]":
    from gist_ray.datasets.packing.config import PackConfig

    return PackConfig


def run(config: "PackConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.datasets.packing.stage import run_pack

    run_pack(config)


COMMAND = configured(
    "pack",
    "Pack a data set of many small image files into Parquet shards",
    Work("pack", pack_config, run),
    examples="""
gist-ray pack data.path=s3://bucket/images out=s3://bucket/packed
gist-ray run data=packed data.path=s3://bucket/packed ...
""",
    about="A killed pack goes on with the same command.",
)
