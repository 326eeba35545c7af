"""Classifies any number of images with an exported classifier, to Parquet: class, calibrated
probability, top five, explaining text, and whether it abstains. A killed job goes on."""

import argparse

from gist_ray.predict.config import PredictConfig
from gist_ray.settings.commandline import main


def run(config: PredictConfig, arguments: argparse.Namespace) -> None:
    from gist_ray.predict.stage import run_prediction  # Ray only once the config is right

    summary = run_prediction(config)
    print(
        f"\n{summary.rows_ok:,} images classified, {summary.abstained:,} of them below the "
        f"threshold; {sum(summary.failed.values()):,} failed. Read them by\n"
        f"  pandas.read_parquet(...) of {config.out}/artifacts/predictions/*/parts/*.parquet"
    )


if __name__ == "__main__":
    main(__doc__ or "", "predict", PredictConfig, run)
