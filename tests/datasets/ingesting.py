"""A data set as its two tables."""

import pyarrow as pa

from gist_ray.datasets import ingest as ingesting
from gist_ray.datasets.config import DataConfig


def ingest(config: DataConfig, indices: str = "") -> tuple[pa.Table, pa.Table]:
    """Returns manifest and error rows."""
    found = ingesting.ingest(config, indices)
    return found.manifest, found.errors
