"""Packs a data set of many small image files into Parquet shards; a killed job goes on."""

import argparse

from gist_ray.commandline import main
from gist_ray.packing.config import PackConfig


def run(config: PackConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.packing.stage import run_pack  # Ray only once the config is right

    run_pack(config)


if __name__ == "__main__":
    main(__doc__ or "", "pack", PackConfig, run)
