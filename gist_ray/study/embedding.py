"""Images, texts and class names through one model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.manifest import read_manifest
from gist_ray.encoders.clip import fingerprint_of_weights
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.stage import embed_image_rows, embed_text_rows
from gist_ray.finetune.job import MODEL_FOLDER
from gist_ray.matching.inputs import usable_texts
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.schema import TEXTS, table
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter, table_content
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data
from gist_ray.study.sample import Sample
from gist_ray.texts.prompt_set import zero_shot_prompts

NAME_PREFIX = "name/"
"""A row of text embeddings with the id name/LABEL/TEMPLATE is a class name in a template."""

TEXT_COLUMNS = pa.schema([TEXTS.field("text_id"), TEXTS.field("text")])

Inputs = Mapping[str, Artifact]


@dataclass(frozen=True)
class Embedded:
    """The embedding stages of one model."""

    model: Mapping[str, Any]
    """What a fingerprint has to know of the model; empty where the stages' input is the model."""

    images: Stage
    """All images of the manifest that can be read."""

    texts: Stage
    """All accepted texts, and the class names in the zero-shot templates."""


def embedded(
    config: RunConfig,
    name: str,
    clip: ClipConfig,
    key: Mapping[str, Any],
    data: Data,
    texts: Stage,
) -> Embedded:
    """The stages of a model as it came; `key` is its `clip_key`."""
    of_model = {"clip": key}
    return Embedded(
        of_model,
        _images(config, name, clip, data, {"manifest": data.stage}, of_model),
        _texts(config, name, clip, data, {"texts": texts}, of_model),
    )


def embedded_by_tuned(
    config: RunConfig,
    name: str,
    tuned: Stage,
    data: Data,
    texts: Stage,
    sample: Sample,
    base: Embedded,
    *,
    with_test: bool = True,
) -> Embedded:
    """The stages of the model that the stage `tuned` leaves. Of the images it takes what its
    evaluation needs, the sample's and test's, as far as `base` could read them; without test where
    it is only validated."""
    images_of = {"manifest": data.stage, "shots": sample.stage, "base": base.images}
    of_model = {} if with_test else {"without": "test"}
    return Embedded(
        {},
        _images(config, name, None, data, {"tuned": tuned, **images_of}, of_model),
        _texts(config, name, None, data, {"tuned": tuned, "texts": texts}, {}),
    )


def clip_key(clip: ClipConfig) -> dict[str, Any]:
    """The model's config and the content of its weights; reads all of them."""
    return {**identity_of(clip), "weights": fingerprint_of_weights(clip)}


def _images(
    config: RunConfig,
    name: str,
    clip: ClipConfig | None,
    data: Data,
    sources: Mapping[str, Stage],
    of_model: Mapping[str, Any],
) -> Stage:
    embed = config.embed

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        images = read_manifest(inputs["manifest"])
        if "shots" in inputs:
            needed = _is_in(images, inputs["shots"])
            if "without" not in of_model:
                needed = pc.or_(needed, pc.equal(images.column("split"), "test"))
            images = images.filter(pc.and_(needed, _is_in(images, inputs["base"])))
        embed_image_rows(images, clip or _tuned_clip(inputs), embed, writer, progress)

    return Stage(
        f"embed images {name}",
        "image_embeddings",
        {**of_model, "embed": identity_of(embed)},
        run,
        sources,
        cpus=embed.cpus_per_worker,
        gpus=embed.gpus_per_worker,
    )


def _texts(
    config: RunConfig,
    name: str,
    clip: ClipConfig | None,
    data: Data,
    sources: Mapping[str, Stage],
    of_model: Mapping[str, Any],
) -> Stage:
    prompts, embed = config.prompts, config.embed
    names = table(
        [
            {"text_id": f"{NAME_PREFIX}{label}/{index}", "text": prompt}
            for label, class_name in data.classes
            for index, prompt in enumerate(zero_shot_prompts(prompts, class_name))
        ],
        TEXT_COLUMNS,
    )

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        texts = usable_texts(inputs["texts"].read()).select(TEXT_COLUMNS.names)
        model = clip or _tuned_clip(inputs)
        rows = pa.concat_tables([texts, names])
        writer.extra["logit_scale"] = embed_text_rows(rows, model, embed, writer, progress)

    return Stage(
        f"embed texts {name}",
        "text_embeddings",
        {**of_model, "embed": identity_of(embed), "names": table_content(names)},
        run,
        sources,
        cpus=embed.cpus_per_worker,
        gpus=embed.gpus_per_worker,
    )


def _tuned_clip(inputs: Inputs) -> ClipConfig:
    return ClipConfig(model=f"local-dir:{inputs['tuned'].file(MODEL_FOLDER)}")


def _is_in(images: pa.Table, artifact: Artifact) -> pa.ChunkedArray:
    ids = artifact.read_ids("image_id")
    return pc.is_in(images.column("image_id"), value_set=ids)
