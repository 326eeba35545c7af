"""The stages that embed images and sets of texts with one model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.manifest import read_manifest
from gist_ray.encoders.clip import fingerprint_of_weights
from gist_ray.encoders.config import LOCAL_MODEL, ClipConfig, EmbedConfig, resources_of
from gist_ray.encoders.stage import embed_image_rows, embed_text_rows
from gist_ray.run.placement import Spread, place
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import is_test, usable_texts
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter

MODEL_FOLDER = "model"
"""Where the artifact of a training holds its open_clip model."""

TEXT_COLUMNS = ["text_id", "text"]

Inputs = Mapping[str, Artifact]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A CLIP that embeds: loaded from `clip`, or the result of the stage `tuned`."""

    name: str
    """Such as "frozen", or "gist 5-shot seed 1"."""

    clip: ClipConfig | None = None
    tuned: Stage | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Values that identify the model in a fingerprint; empty where the stage `tuned` is an
    input."""

    setting: str = "clip"
    """The section of the config that names it."""

    @property
    def inputs(self) -> dict[str, Stage]:
        return {} if self.tuned is None else {"tuned": self.tuned}

    @property
    def folders(self) -> dict[str, str]:
        """Returns {setting: its folder}, if the model is a folder that every node has to see."""
        if self.clip is None or not self.clip.model.startswith(LOCAL_MODEL):
            return {}
        return {f"{self.setting}.model": self.clip.model.removeprefix(LOCAL_MODEL)}

    def of(self, inputs: Inputs) -> ClipConfig:
        """Returns the model to load, given the artifacts of a stage that embeds with it."""
        return self.clip or ClipConfig(model=LOCAL_MODEL + inputs["tuned"].file(MODEL_FOLDER))


def clip_identity(clip: ClipConfig) -> dict[str, Any]:
    """Returns the model's config and the hash of its weights, all of which it reads."""
    return {**identity_of(clip), "weights": fingerprint_of_weights(clip)}


@dataclass(frozen=True)
class Part:
    """The images for the evaluation of one draw: those of its sample and of test that the model as
    loaded could read."""

    shots: Stage
    readable: Stage
    """Embeddings of the images that can be read."""
    with_test: bool = True


def images_stage(
    model: Model, embed: EmbedConfig, manifest: Stage, *, part: Part | None = None
) -> Stage:
    """Returns the stage that embeds the images of a manifest, or a part of them."""

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        images = read_manifest(inputs["manifest"])
        if part is not None:
            needed = _is_in(images, inputs["shots"])
            if part.with_test:
                needed = pc.or_(needed, is_test(images.column("split")))
            images = images.filter(pc.and_(needed, _is_in(images, inputs["readable"])))
        embed_image_rows(images, model.of(inputs), embed, writer=writer, progress=progress)

    of_part = {} if part is None else {"shots": part.shots, "readable": part.readable}
    without = {} if part is None or part.with_test else {"without": "test"}
    return Stage(
        name=f"embed images {model.name}",
        kind="image_embeddings",
        group="embed images",
        identity={**model.identity, "embed": identity_of(embed), **without},
        run=run,
        inputs={"manifest": manifest, **model.inputs, **of_part},
        resources=resources_of(embed),
        folders=model.folders,
        where=place(spread_of(embed), manifest.num_rows),
    )


def texts_stage(model: Model, embed: EmbedConfig, texts: Stage, *, text_set: str) -> Stage:
    """Returns the stage that embeds the texts of a set that no check rejected."""

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        rows = usable_texts(inputs["texts"].read()).select(TEXT_COLUMNS)
        embed_text_rows(rows, model.of(inputs), embed, writer=writer, progress=progress)

    return Stage(
        name=f"embed {text_set} texts {model.name}",
        kind="text_embeddings",
        group=f"embed {text_set} texts",
        identity={**model.identity, "embed": identity_of(embed)},
        run=run,
        inputs={"texts": texts, **model.inputs},
        resources=resources_of(embed),
        folders=model.folders,
        where=place(spread_of(embed), texts.num_rows),
    )


def spread_of(embed: EmbedConfig) -> Spread:
    """Returns how far the rows of an embedding stage may be spread."""
    return Spread(
        rows_per_part=embed.rows_per_part,
        gpus=embed.gpus_per_worker,
        max_workers=embed.max_workers,
    )


def _is_in(images: pa.Table, artifact: Artifact) -> pa.ChunkedArray:
    ids = artifact.read_ids("image_id")
    return pc.is_in(images.column("image_id"), value_set=ids)
