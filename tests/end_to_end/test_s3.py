"""What a user is told before any work; whole runs from S3 to S3 are in tests/faults."""

import os
import subprocess
import sys

import pytest

from gist_ray.settings.configs import CONFIGS
from tests.conftest import s3_environment


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_said_before_work(s3_endpoint: str) -> None:
    words = ["data=image_folder", "data.path=s3://nobody/images", "root=s3://nobody/root"]
    job = subprocess.run(
        [sys.executable, str(CONFIGS.parent / "jobs" / "run.py"), *words],
        env={**os.environ, **s3_environment(s3_endpoint)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert job.returncode == 2
    assert "data.path=s3://nobody/images: there is no such file or folder." in job.stderr
    assert "root=s3://nobody/root: there is no bucket nobody." in job.stderr
