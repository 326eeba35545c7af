"""Fixtures of all rings. One Ray and one cache of models serve the whole test session."""

import os
from collections.abc import Iterator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Small towers on two cores: more threads only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray, as `jobs/` start it."""
    import ray

    from gist_ray.cluster import connect

    connect()
    yield
    ray.shutdown()
