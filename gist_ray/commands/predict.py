"""`gist-ray predict`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, configured

if TYPE_CHECKING:
    from gist_ray.predict.config import PredictConfig


def predict_config() -> "type[PredictConfig]":
    from gist_ray.predict.config import PredictConfig

    return PredictConfig


def run(config: "PredictConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.predict.stage import run_prediction

    summary = run_prediction(config)
    print(
        f"\n{summary.rows_ok:,} images classified, {summary.abstained:,} of them below the "
        f"threshold; {sum(summary.failed.values()):,} failed. Read them by\n"
        f"  pandas.read_parquet(...) of {config.out}/artifacts/predictions/*/parts/*.parquet"
    )


COMMAND = configured(
    "predict",
    "Classify any number of images with an exported classifier",
    Work("predict", predict_config, run),
    examples="""
gist-ray predict classifier=classifiers/leaves images=photos out=predictions
gist-ray predict classifier=classifiers/leaves images=s3://bucket/new out=s3://bucket/predictions
gist-ray predict classifier=classifiers/leaves images=new.csv image_column=file out=predictions
""",
    about="""\
Writes Parquet: class, calibrated probability, top five, explaining text, and whether it abstains.
A killed prediction goes on with the same command.""",
)
