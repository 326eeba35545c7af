"""Packs a data set of many small image files into Parquet shards; a killed job goes on."""

import argparse

from gist_ray.datasets.packing.config import PackConfig
from gist_ray.settings.commandline import main


def run(config: PackConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.datasets.packing.stage import run_pack  # Ray only once the config is right

    run_pack(config)


if __name__ == "__main__":
    main(__doc__ or "", "pack", PackConfig, run)
