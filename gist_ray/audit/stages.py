"""The stages of an audit: looks, neighbours, comparisons and witnesses."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.audit.config import AuditConfig
from gist_ray.audit.neighbours import near_pairs
from gist_ray.audit.pictures import comparing, looking
from gist_ray.audit.witnesses import best_text, probe
from gist_ray.datasets.manifest import num_classes_of, read_manifest
from gist_ray.encoders.config import resources_of
from gist_ray.encoders.embedded import spread_of
from gist_ray.matching.vectors import stored_vectors
from gist_ray.methods.base.features import logit_scale_of, read_text_set
from gist_ray.run.placement import place
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.stage import Stage
from gist_ray.schema import COMPARED, LOOKS, NEIGHBOURS, stable_id
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter

WINS_FILE = "wins.parquet"
"""The file of the probe with `Judged.wins`, a column for each class."""

Inputs = Mapping[str, Artifact]


def looks_stage(config: AuditConfig, manifest: Stage, num_images: int) -> Stage:
    """Returns the stage that writes LOOKS of every image that can be read."""
    embed = config.embed

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        run_rows(
            read_manifest(inputs["manifest"]).select(["image_id", "uri"]),
            id_column="image_id",
            steps=[looking(embed)],
            schema=LOOKS,
            writer=writer,
            rows_per_part=embed.rows_per_part,
            unit="images",
            progress=progress,
        )

    return Stage(
        name="look at pictures",
        kind="looks",
        group="look at pictures",
        identity=asdict(embed.limits),
        run=run,
        inputs={"manifest": manifest},
        resources=resources_of(embed),
        num_rows=num_images,
        where=place(spread_of(embed), num_images),
    )


def neighbours_stage(config: AuditConfig, images: Stage) -> Stage:
    """Returns the stage that writes NEIGHBOURS, the most similar first."""
    checks = config.audit
    settings = {
        "num_neighbours": checks.num_neighbours,
        "min_similarity": checks.min_similarity,
    }

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        vectors = stored_vectors(inputs["image_embeddings"], "image_id")
        pairs = near_pairs(vectors, **settings)  # type: ignore[arg-type]
        one, other = (vectors.ids.take(pa.array(rows)) for rows in (pairs.one, pairs.other))
        names = zip(one.to_pylist(), other.to_pylist(), strict=True)
        ids = pa.array([stable_id(*pair) for pair in names], pa.string())
        writer.write(pa.table([ids, one, other, pa.array(pairs.similarity)], schema=NEIGHBOURS))

    return Stage(
        name="find neighbours",
        kind="neighbours",
        group="find neighbours",
        identity=settings,
        run=run,
        inputs={"image_embeddings": images},
    )


def compare_stage(config: AuditConfig, manifest: Stage, neighbours: Stage) -> Stage:
    """Returns the stage that writes COMPARED of the `max_pairs` most similar NEIGHBOURS. Its
    artifact says `num_left_out`, the number of the others."""
    checks, embed = config.audit, config.embed

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        pairs = inputs["neighbours"].read()
        writer.extra["num_left_out"] = max(0, len(pairs) - checks.max_pairs)
        pairs = pairs.slice(0, checks.max_pairs).sort_by("image_id")
        images = read_manifest(inputs["manifest"])
        for column, name in (("image_id", "uri"), ("other_id", "other_uri")):
            places = pc.index_in(pairs[column], value_set=images["image_id"].combine_chunks())
            pairs = pairs.append_column(name, images["uri"].take(places))
        run_rows(
            pairs,
            id_column="pair_id",
            steps=[comparing(embed, checks.min_correlation)],
            schema=COMPARED,
            writer=writer,
            rows_per_part=embed.rows_per_part,
            unit="pairs",
            progress=progress,
        )

    settings = {"max_pairs": checks.max_pairs, "min_correlation": checks.min_correlation}
    return Stage(
        name="compare pictures",
        kind="compared",
        group="compare pictures",
        identity={**asdict(embed.limits), **settings},
        run=run,
        inputs={"manifest": manifest, "neighbours": neighbours},
        resources=resources_of(embed),
        where=place(spread_of(embed), None),
    )


def probe_stage(config: AuditConfig, manifest: Stage, images: Stage) -> Stage:
    """Returns the stage of the witness `probe`. It writes TESTIMONY and WINS_FILE; its artifact
    says `num_issues`."""
    checks = config.audit
    folds = probe.Folds(
        num_folds=checks.num_folds, max_images=checks.max_probe_images, seed=config.seed
    )

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        rows, vectors = _labelled(inputs), stored_vectors(inputs["image_embeddings"], "image_id")
        judged = probe.judge(rows, vectors, num_classes_of(rows), folds=folds)
        writer.write(judged.testimony)
        writer.extra["num_issues"] = judged.num_issues
        wins = {str(label): column for label, column in enumerate(judged.wins.T)}
        storage.write_parquet(writer.file(WINS_FILE), pa.table(wins))

    return Stage(
        name="witness probe",
        kind="testimony",
        group="witness",
        identity={"witness": "probe", **asdict(folds)},
        run=run,
        inputs={"manifest": manifest, "image_embeddings": images},
    )


def best_text_stage(manifest: Stage, images: Stage, texts: Stage, text_embeddings: Stage) -> Stage:
    """Returns the stage of the witness `best text`, which writes TESTIMONY."""

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        rows, vectors = _labelled(inputs), stored_vectors(inputs["image_embeddings"], "image_id")
        text_set = read_text_set(inputs["texts"].read(), inputs["text_embeddings"])
        writer.write(
            best_text.judge(
                rows,
                vectors,
                text_set,
                num_classes=num_classes_of(rows),
                logit_scale=logit_scale_of(inputs),
            )
        )

    return Stage(
        name="witness best text",
        kind="testimony",
        group="witness",
        identity={"witness": "best text"},
        run=run,
        inputs={
            "manifest": manifest,
            "image_embeddings": images,
            "texts": texts,
            "text_embeddings": text_embeddings,
        },
    )


def wins_of(artifact: Artifact) -> np.ndarray:
    """Returns `Judged.wins` of the artifact of `probe_stage`."""
    table = storage.read_parquet(artifact.file(WINS_FILE))
    return np.stack([column.to_numpy() for column in table.columns], axis=1)


def _labelled(inputs: Inputs) -> pa.Table:
    """Returns the images of the manifest that have a label and an embedding."""
    images = read_manifest(inputs["manifest"])
    embedded = inputs["image_embeddings"].read_ids("image_id")
    known = pc.is_in(images["image_id"], value_set=embedded)
    return images.filter(pc.and_(known, pc.is_valid(images["label"])))
