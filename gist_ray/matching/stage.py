"""The stages that match texts to images, and compute statistics of the matches."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.fewshot import sampled_images
from gist_ray.datasets.manifest import read_manifest
from gist_ray.matching.config import DRAWN_VARIANTS, MatchingConfig
from gist_ray.matching.imported import match_imported
from gist_ray.matching.inputs import MatchingTables, gather_inputs, without_embedding
from gist_ray.matching.match import match
from gist_ray.matching.statistics import match_statistics
from gist_ray.matching.vectors import stored_vectors
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.texts.stage import IMPORTED_PAIRS_FILE

TEXTS_FILE = "texts.parquet"
CLASSES_FILE = "classes.parquet"

Inputs = Mapping[str, Artifact]


def match_stage(
    name: str, matching: MatchingConfig, inputs: Mapping[str, Stage], *, seed: int
) -> Stage:
    """Returns the stage that writes MATCHES of the training images.

    seed: for the variants that draw. inputs: manifest, texts, image_embeddings, text_embeddings,
    and optionally shots, a sample to which the images are restricted.
    """
    drawn = {"seed": seed} if matching.variant in DRAWN_VARIANTS else {}

    def run(found: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        images = read_manifest(found["manifest"])
        if "shots" in found:
            images = sampled_images(images, found["shots"].read(), "train")
        tables = _tables(images, found)
        # These rows failed in the embedding stage, which counts them as its errors.
        writer.extra["num_without_embedding"] = len(without_embedding(tables))
        writer.write(match(tables, matching, seed))

    return Stage(
        name=name,
        kind="matches",
        group="match",
        # each further round is a stage of its own
        identity={**identity_of(replace(matching, rounds=1)), **drawn},
        run=run,
        inputs=inputs,
    )


def imported_match_stage(name: str, k: int, inputs: Mapping[str, Stage]) -> Stage:
    """Returns the stage whose MATCHES are the first k imported captions of each image.

    inputs: as for `match_stage`, without shots; the texts need imported pairs.
    """

    def run(found: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        pairs = storage.read_parquet(found["texts"].file(IMPORTED_PAIRS_FILE))
        tables = _tables(read_manifest(found["manifest"]), found)
        writer.extra["num_without_embedding"] = len(without_embedding(tables))
        gathered = gather_inputs(tables)
        matches = match_imported(gathered, pairs, k)
        most = pc.max(pairs.column("rank")).as_py() + 1
        without = len(gathered.image_ids) - pc.count_distinct(matches.column("image_id")).as_py()
        kept = f"the first {k} of up to {most}" if most > k else f"up to {most}"
        progress.say(writer.stage, f"{kept} imported captions per image (matching.k={k})")
        progress.say(writer.stage, f"{without:,} training images have no imported caption")
        writer.extra["num_images_without_pair"] = without
        writer.write(matches)

    return Stage(
        name=name,
        kind="matches",
        group="match",
        identity={"variant": "imported", "k": k},
        run=run,
        inputs=inputs,
    )


def statistics_stage(match: Stage) -> Stage:
    """Returns the stage that writes IMAGE_STATISTICS as its rows, and TEXT_STATISTICS and
    CLASS_STATISTICS as files beside them. It compares every image with every text."""

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        gathered = gather_inputs(_tables(read_manifest(inputs["manifest"]), inputs))
        found = match_statistics(gathered, inputs["matches"].read())
        storage.write_parquet(writer.file(TEXTS_FILE), found.texts)
        storage.write_parquet(writer.file(CLASSES_FILE), found.classes)
        writer.write(found.images)
        writer.extra["summary"] = found.summary

    return Stage(
        name=f"statistics of {match.name}",
        kind="statistics",
        group="statistics",
        run=run,
        inputs={**match.inputs, "matches": match},
    )


def statistics_tables(artifact: Artifact) -> dict[str, pa.Table]:
    """Returns the three tables of a statistics artifact, by the report's names for them."""
    return {
        "text_statistics": storage.read_parquet(artifact.file(TEXTS_FILE)),
        "class_statistics": storage.read_parquet(artifact.file(CLASSES_FILE)),
        "image_statistics": artifact.read(),
    }


def _tables(manifest: pa.Table, inputs: Inputs) -> MatchingTables:
    return MatchingTables(
        manifest,
        stored_vectors(inputs["image_embeddings"], "image_id"),
        inputs["texts"].read(),
        stored_vectors(inputs["text_embeddings"], "text_id"),
    )
