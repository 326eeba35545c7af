"""The match and the fine-tuning of one training."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow.compute as pc

from gist_ray.datasets.manifest import read_manifest
from gist_ray.finetune.captions import pairs_of_matches, pairs_of_names, sampled_images
from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.finetune.trainer import train_clip
from gist_ray.matching.config import CLASS_NAME, DRAWN_VARIANTS, MatchingConfig
from gist_ray.matching.imported import match_imported
from gist_ray.matching.inputs import gather_inputs, without_embedding
from gist_ray.matching.match import match
from gist_ray.matching.vectors import stored_vectors
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.schema import PAIRS, table
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data
from gist_ray.study.embedding import Embedded
from gist_ray.study.sample import Sample
from gist_ray.study.texts import IMPORTED_PAIRS_FILE

Inputs = Mapping[str, Artifact]


def match_stage(
    config: RunConfig,
    training: str,
    sample: Sample,
    data: Data,
    texts: Stage,
    matcher: Embedded,
    in_round: str = "",
) -> Stage | None:
    """The match of a training; None where captions are class names, which need none.

    in_round: names a further round, whose matcher embeds no other training images than the
    sample's; the first round matches all, so that it serves every draw.
    """
    if training == "gist" and config.texts.use_pairs:
        return _imported_match_stage(config, data, texts, matcher)
    matching = config.matching
    if training != "gist":
        # A control has as many texts per image as what it is compared with.
        matching = MatchingConfig(variant=training, k=matching.k)  # type: ignore[arg-type]
    variant = matching.variant
    if variant == CLASS_NAME:
        return None
    drawn = {"seed": sample.seed} if variant in DRAWN_VARIANTS else {}
    of_draw = f"{sample.name}{in_round}" if in_round else (f"seed {sample.seed}" if drawn else "")

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        images = read_manifest(inputs["manifest"])
        if "shots" in inputs:
            images = sampled_images(images, inputs["shots"].read(), "train")
        tables = (
            images,
            stored_vectors(inputs["image_embeddings"], "image_id"),
            inputs["texts"].read(),
            stored_vectors(inputs["text_embeddings"], "text_id"),
        )
        # Failed rows of the embedding, not of this stage: they are counted there.
        writer.extra["num_without_embedding"] = len(without_embedding(*tables))
        writer.write(match(*tables, matching, sample.seed))

    return Stage(
        f"match {training} {of_draw}".rstrip(),
        "matches",
        # each further round is a stage of its own
        {**identity_of(replace(matching, rounds=1)), **drawn},
        run,
        {
            "manifest": data.stage,
            "texts": texts,
            "image_embeddings": matcher.images,
            "text_embeddings": matcher.texts,
            **({"shots": sample.stage} if in_round else {}),
        },
    )


def _imported_match_stage(config: RunConfig, data: Data, texts: Stage, matcher: Embedded) -> Stage:
    """The imported captions of each image as its matches."""
    k = config.matching.k

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        pairs = storage.read_parquet(inputs["texts"].file(IMPORTED_PAIRS_FILE))
        tables = (
            read_manifest(inputs["manifest"]),
            stored_vectors(inputs["image_embeddings"], "image_id"),
            inputs["texts"].read(),
            stored_vectors(inputs["text_embeddings"], "text_id"),
        )
        writer.extra["num_without_embedding"] = len(without_embedding(*tables))
        gathered = gather_inputs(*tables)
        matches = match_imported(gathered, pairs, k)
        most = pc.max(pairs.column("rank")).as_py() + 1
        without = len(gathered.image_ids) - pc.count_distinct(matches.column("image_id")).as_py()
        kept = f"the first {k} of up to {most}" if most > k else f"up to {most}"
        progress.say(writer.stage, f"{kept} imported captions per image (matching.k={k})")
        progress.say(writer.stage, f"{without:,} training images have no imported caption")
        writer.extra["num_images_without_pair"] = without
        writer.write(matches)

    return Stage(
        "match gist",
        "matches",
        {"variant": "imported", "k": k},
        run,
        {
            "manifest": data.stage,
            "texts": texts,
            "image_embeddings": matcher.images,
            "text_embeddings": matcher.texts,
        },
    )


def finetune_stage(
    config: RunConfig,
    training: str,
    sample: Sample,
    data: Data,
    texts: Stage,
    matches: Stage | None,
    base: Embedded,
    in_round: str = "",
) -> Stage:
    """Trains on the sample's images with their captions; val images only choose the epoch."""
    tune, prompts = config.finetune, config.prompts

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        shots = inputs["shots"].read()
        readable = inputs["images"].read_ids("image_id")
        images = read_manifest(inputs["manifest"])
        images = images.filter(pc.is_in(images.column("image_id"), readable))
        if "matches" in inputs:
            matches, texts = inputs["matches"].read(), inputs["texts"].read()
            pairs = pairs_of_matches(images, shots, matches, texts, prompts)
            without = len(sampled_images(images, shots, "train")) - len(pairs)
            writer.extra["num_images_without_text"] = without
            if without:
                said = f"{without:,} images of the sample have no text and are not trained on"
                progress.say(writer.stage, said)
        else:
            pairs = pairs_of_names(images, shots, prompts)
        val = sampled_images(images, shots, "val")
        val_pairs = table([{**row, "captions": []} for row in val.to_pylist()], PAIRS)
        history = train_clip(
            pairs,
            val_pairs,
            config.clip,
            tune,
            sample.seed,
            writer,
            progress,
            limits=config.embed.limits,
        )
        writer.extra["history"] = history
        writer.add_part(PAIRS_FILE, len(pairs))

    captions = (
        {"prefix": prompts.caption_prefix}
        if matches
        else {"templates": prompts.zero_shot_templates}
    )
    return Stage(
        f"finetune {training} {sample.name}{in_round}",
        "finetuned",
        {"recipe": identity_of(tune), **base.model, "seed": sample.seed, **captions},
        run,
        {
            "manifest": data.stage,
            "shots": sample.stage,
            # which images can be read
            "images": base.images,
            **({"texts": texts, "matches": matches} if matches else {}),
        },
        cpus=tune.cpus_per_worker * tune.num_workers,
        gpus=tune.gpus_per_worker * tune.num_workers,
    )
