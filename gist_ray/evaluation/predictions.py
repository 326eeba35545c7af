"""Stored predictions: one file of an artifact for each split."""

import pyarrow as pa

from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter


def write_predictions(writer: ArtifactWriter, split: str, predictions: pa.Table) -> None:
    """Writes PREDICTIONS of a split and counts them in."""
    writer.write(predictions, _file(split))


def read_predictions(artifact: Artifact, split: str, columns: list[str] | None = None) -> pa.Table:
    """Returns the PREDICTIONS of a split: "val", "test" or "test/NAME"."""
    return storage.read_parquet(artifact.file(_file(split)), columns)


def _file(split: str) -> str:
    return f"{split}.parquet"
