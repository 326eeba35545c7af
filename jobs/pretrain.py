"""Trains the embedded CLIP from random weights on drawn pictures with captions.

About 15 minutes on one core. `python jobs/pretrain.py seed=1` makes another of the same quality.
"""

import argparse

from gist_ray.pretraining.config import PretrainConfig
from gist_ray.settings.commandline import main


def run(config: PretrainConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.pretraining.run import (
        run_pretraining,
    )  # torch and Ray only once the config is right

    run_pretraining(config)


if __name__ == "__main__":
    main(__doc__ or "", "pretrain", PretrainConfig, run)
