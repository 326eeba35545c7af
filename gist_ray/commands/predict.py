"""`gist-ray predict`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, add_plan_argument, configured

if TYPE_CHECKING:
    from gist_ray.predict.config import PredictConfig


def predict_config() -> "type[PredictConfig]":
    from gist_ray.predict.config import PredictConfig

    return PredictConfig


def run(config: "PredictConfig", arguments: argparse.Namespace) -> None:
    from gist_ray.predict.job import predict_job
    from gist_ray.run.run_job import run_job

    run_job(predict_job(config), plan_only=arguments.plan)


COMMAND = configured(
    "predict",
    "Classify any number of images with an exported classifier",
    Work("predict", predict_config, run, add_plan_argument),
    examples="""
gist-ray predict classifier=classifiers/leaves images=photos out=predictions
gist-ray predict classifier=classifiers/leaves images=s3://bucket/new out=s3://bucket/predictions
gist-ray predict classifier=classifiers/leaves images=new.csv image_column=file out=predictions
""",
    about="""\
Writes Parquet: class, calibrated probability, top five, explaining text, and whether it abstains.
A killed prediction goes on with the same command.""",
)
