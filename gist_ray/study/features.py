"""The stages that embed the images and the sets of texts of a draw with one model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gist_ray.encoders.config import EmbedConfig
from gist_ray.encoders.embedded import Model, Part, images_stage, texts_stage
from gist_ray.run.stage import Stage
from gist_ray.study.draws import Draw

FROZEN = "frozen"
"""The name of the features of the model before fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The embeddings of one model. draw: the draw that it is tuned on, None for the model as
    loaded."""

    name: str
    """Its name in the column `features`."""

    model: Model
    draw: Draw | None
    images: Stage
    texts: Mapping[str, Stage]
    """{set: TEXTS}"""

    text_embeddings: Mapping[str, Stage]

    def inputs_of(self, sets: Sequence[str]) -> dict[str, Stage]:
        """Returns the texts of some sets and their embeddings, by the input names of a method's
        stages."""
        texts = {f"texts {name}": self.texts[name] for name in sets}
        return texts | {f"text_embeddings {name}": self.text_embeddings[name] for name in sets}

    @property
    def matching_inputs(self) -> dict[str, Stage]:
        """Returns the inputs of matching, apart from the manifest."""
        return {
            "texts": self.texts["class"],
            "image_embeddings": self.images,
            "text_embeddings": self.text_embeddings["class"],
        }


def features_of(
    name: str,
    model: Model,
    embed: EmbedConfig,
    *,
    manifest: Stage,
    texts: Mapping[str, Stage],
    draw: Draw | None = None,
    part: Part | None = None,
) -> Features:
    """Returns the stages of one model. part: the images to embed; None for all."""
    return Features(
        name=name,
        model=model,
        draw=draw,
        images=images_stage(model, embed, manifest, part=part),
        texts=texts,
        text_embeddings={
            text_set: texts_stage(model, embed, stage, text_set=text_set)
            for text_set, stage in texts.items()
        },
    )
