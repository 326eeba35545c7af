"""The pipeline as a user runs it, with data, texts and results on S3."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gist_ray.commandline import CONFIGS
from gist_ray.datasets.butterflies.collection import write_collection
from gist_ray.datasets.butterflies.config import WorldConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BUCKET = "bucket"


@pytest.fixture(scope="module")
def s3_environment() -> Iterator[dict[str, str]]:
    """What a process needs to take a server on this machine for S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_environment: dict[str, str], texts_file: str, tmp_path_factory: Any) -> Any:
    """A client of a bucket with a folder of pictures and a file of texts."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    folder: Path = tmp_path_factory.mktemp("world")
    sizes = {"train_per_species": 4, "val_per_species": 1, "test_per_species": 2}
    write_collection(WorldConfig(seed=401, num_genera=2, species_per_genus=2, **sizes), str(folder))
    for file in (folder / "images").rglob("*.png"):
        client.upload_file(str(file), BUCKET, f"my data/{file.relative_to(folder / 'images')}")
    client.upload_file(texts_file, BUCKET, "texts.json")
    return client


def run_job(environment: dict[str, str], cache: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(CONFIGS.parent / "jobs" / "pipeline.py"), *words],
        env={**os.environ, **environment, "GIST_RAY_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_data_texts_training_and_results_on_s3(
    s3: Any, s3_environment: dict[str, str], tiny: list[str], tmp_path: Path
) -> None:
    words = [
        "name=on_s3",
        f"root=s3://{BUCKET}/runs of a team",
        "data=image_folder",
        f"data.path='s3://{BUCKET}/my data'",
        f"texts.import_from=s3://{BUCKET}/texts.json",
        *tiny,
    ]
    first = run_job(s3_environment, tmp_path, *words)
    assert first.returncode == 0, first.stdout + first.stderr
    folder = "runs of a team/runs/on_s3"
    report = s3.get_object(Bucket=BUCKET, Key=f"{folder}/report.html")["Body"].read()
    assert b"</html>" in report
    stages = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{folder}/stages.json")["Body"].read())
    assert any(row["stage"] == "finetuned" for row in stages)
    assert not any(row["cached"] or row["failed"] for row in stages)
    again = run_job(s3_environment, tmp_path, *words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "starts" not in again.stdout


def test_a_bucket_that_is_not_there_is_said_before_work(
    s3: Any, s3_environment: dict[str, str], tmp_path: Path
) -> None:
    words = ["data=image_folder", "data.path=s3://nobody/images", "root=s3://nobody/root"]
    job = run_job(s3_environment, tmp_path, *words)
    assert job.returncode == 2
    assert "data.path=s3://nobody/images: there is no such file or folder." in job.stderr
    assert "root=s3://nobody/root" in job.stderr
