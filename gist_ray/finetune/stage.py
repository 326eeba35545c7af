"""The stage that fine-tunes CLIP on the images of a draw with their captions."""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from gist_ray.datasets.fewshot import sampled_images
from gist_ray.datasets.manifest import read_manifest
from gist_ray.encoders.config import ClipConfig
from gist_ray.finetune.captions import pairs_of_matches, pairs_of_names
from gist_ray.finetune.config import FinetuneConfig, resources_of
from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.finetune.trainer import train_clip
from gist_ray.images.limits import ImageLimits
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import PAIRS, table
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.texts.prompt_set import PromptSet
from gist_ray.train.trainer import where_trained


def finetune_stage(
    name: str,
    config: FinetuneConfig,
    inputs: Mapping[str, Stage],
    *,
    clip: ClipConfig,
    clip_identity: Mapping[str, Any],
    prompts: PromptSet,
    limits: ImageLimits,
    seed: int,
) -> Stage:
    """Returns the stage that trains on the sample's images; val images only choose the epoch.

    inputs: manifest, shots, images (embeddings, which say what can be read); with matches and texts
    the captions are the matched texts, else the class name in the zero-shot templates. clip: the
    model that is tuned. limits: of the images that the embedding could read.
    """

    def run(found: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        shots = found["shots"].read()
        readable = found["images"].read_ids("image_id")
        images = read_manifest(found["manifest"])
        images = images.filter(pc.is_in(images.column("image_id"), readable))
        if "matches" in found:
            matches, texts = found["matches"].read(), found["texts"].read()
            pairs = pairs_of_matches(images, shots, matches=matches, texts=texts, prompts=prompts)
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
            clip=clip,
            config=config,
            seed=seed,
            writer=writer,
            progress=progress,
            limits=limits,
        )
        writer.extra["history"] = history
        writer.add_part(PAIRS_FILE, len(pairs))

    captions = (
        {"prefix": prompts.caption_prefix}
        if "matches" in inputs
        else {"templates": prompts.zero_shot_templates}
    )
    return Stage(
        name=name,
        kind="finetuned",
        group="finetune",
        identity={"recipe": identity_of(config), **clip_identity, "seed": seed, **captions},
        run=run,
        inputs=inputs,
        resources=resources_of(config),
        where=where_trained(config),
    )
