"""Stores of each kind for leases, and leases of other processes."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gist_ray.run.lease import Lease, process_lease
from gist_ray.store import s3
from tests.conftest import s3_environment


def far_away(silent_s: float = 0) -> Lease:
    """The lease of a process on another machine, last renewed `silent_s` seconds ago."""
    there = {"machine": "another", "host": "far", "pid": 1, "token": "theirs"}
    return process_lease() | there | {"updated": time.time() - silent_s}


@pytest.fixture(scope="session")
def lease_bucket(s3_endpoint: str) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment(s3_endpoint).items():
            patch.setenv(name, value)
        s3.filesystem().clear_instance_cache()
        files = s3.filesystem()
        files.call_s3("create_bucket", Bucket="leases")
        yield "s3://leases"
        files.clear_instance_cache()


@pytest.fixture(params=["local", "memory", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a lease, in a store of each kind."""
    folders = {
        "local": lambda: str(tmp_path),
        "memory": lambda: f"memory://{uuid.uuid4().hex}",
        "s3": lambda: f"{request.getfixturevalue('lease_bucket')}/{uuid.uuid4().hex}",
    }
    return f"{folders[request.param]()}/runs/a/alive.json"


@pytest.fixture
def local_uri(tmp_path: Path) -> str:
    return str(tmp_path / "runs" / "a" / "alive.json")
