"""How the texts of a match are used: for the report, and once, for it compares every image with
every text."""

from collections.abc import Mapping

import pyarrow as pa

from gist_ray.datasets.manifest import read_manifest
from gist_ray.matching.inputs import gather_inputs
from gist_ray.matching.statistics import match_statistics
from gist_ray.matching.vectors import stored_vectors
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter

TEXTS_FILE = "texts.parquet"
CLASSES_FILE = "classes.parquet"


def statistics_stage(match: Stage) -> Stage:
    """IMAGE_STATISTICS as the artifact's rows; TEXT_STATISTICS and CLASS_STATISTICS beside them."""

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        gathered = gather_inputs(
            read_manifest(inputs["manifest"]),
            stored_vectors(inputs["image_embeddings"], "image_id"),
            inputs["texts"].read(),
            stored_vectors(inputs["text_embeddings"], "text_id"),
        )
        found = match_statistics(gathered, inputs["matches"].read())
        storage.write_parquet(writer.file(TEXTS_FILE), found.texts)
        storage.write_parquet(writer.file(CLASSES_FILE), found.classes)
        writer.write(found.images)
        writer.extra["summary"] = found.summary

    return Stage(
        f"statistics of {match.key}", "statistics", {}, run, {**match.inputs, "matches": match}
    )


def statistics_tables(artifact: Artifact) -> dict[str, pa.Table]:
    """The three tables, as the report calls them."""
    return {
        "text_statistics": storage.read_parquet(artifact.file(TEXTS_FILE)),
        "class_statistics": storage.read_parquet(artifact.file(CLASSES_FILE)),
        "image_statistics": artifact.read(),
    }
