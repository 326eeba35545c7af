"""Settings of the audit of a data set."""

from typing import Annotated, Literal

from pydantic import Field

from gist_ray.datasets.config import DataConfig
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.settings.declare import Runtime, settings
from gist_ray.study.config import Seed
from gist_ray.texts.config import TextsConfig
from gist_ray.texts.prompt_set import PromptSet

Reason = Literal["duplicates", "blank", "dark", "tiny", "odd_shape", "labels"]
"""Why the audit may suggest to leave an image out."""


def _default_reasons() -> list[Reason]:
    return ["duplicates", "blank"]


@settings
class ChecksConfig:
    """What counts as a finding. The defaults are our choice."""

    exclude: list[Reason] = Field(default_factory=_default_reasons)
    """The findings whose images exclude.csv lists: duplicates (copies of a picture of another
    split), blank, dark, tiny, odd_shape, labels (suspects of a wrong label)."""

    num_neighbours: Annotated[int, Field(ge=1, le=100)] = 5
    """The nearest images of each image that are looked at as possible copies, 1 to 100."""

    min_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.9
    """Cosine of two embeddings from which their pictures are compared pixel by pixel."""

    max_pairs: Annotated[int, Field(ge=0)] = 20_000
    """Most pairs of pictures that are compared, the most similar first."""

    min_correlation: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Correlation of the grey values from which two pictures are copies."""

    num_folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Folds of the probe that judges the labels: each image is judged by a probe that was fitted
    without it."""

    max_probe_images: Annotated[int, Field(ge=100)] = 50_000
    """Most images that a probe of a fold is fitted on, drawn by `seed` where there are more."""

    min_contrast: Annotated[float, Field(ge=0, le=1)] = 0.04
    """Blank: pictures whose brightest and darkest hundredth of the pixels differ by less."""

    min_brightness: Annotated[float, Field(ge=0, le=1)] = 0.08
    """Dark: pictures whose mean brightness, 0 to 1, is below this."""

    min_side_px: Annotated[int, Field(ge=1)] = 32
    """Tiny: pictures whose shorter side has fewer pixels."""

    max_aspect_ratio: Annotated[float, Field(ge=1)] = 4.0
    """Odd shape: pictures whose longer side is more than this times the shorter one."""

    min_class_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.98
    """Cosine of the mean embeddings of two classes' names or texts from which these are nearly
    equal."""

    num_shown: Annotated[int, Field(ge=0)] = 40
    """Most findings of each kind on the page. The Parquet files have all."""


@settings
class AuditConfig:
    """Settings of the audit of a data set."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"), Runtime] = "audit"
    """Name of the audit: its folder below root/runs. Letters, digits, dot, dash, underscore."""

    root: Annotated[str, Runtime] = "results"
    """Where artifacts and runs are kept: a local folder or s3://bucket/prefix. With the root of a
    study its embeddings are found and not made again."""

    seed: Seed = 0
    """Seed of the folds, and of the images that a probe is fitted on."""

    max_failed_fraction: Annotated[float, Field(ge=0, le=1), Runtime] = 1.0
    """Largest share of rows of a stage that may fail before the audit ends with exit code 1. By
    default any: pictures that cannot be read are findings."""

    data: Annotated[DataConfig | WorldConfig, Field(discriminator="layout")] = Field(
        default_factory=WorldConfig
    )
    """The labelled images."""

    prompts: PromptSet
    """The templates of the class names, and the prefix of captions."""

    texts: TextsConfig = Field(default_factory=TextsConfig)
    """Ready-made texts of the classes (texts.import_from). Without them a class is known by its
    name in the templates; the audit asks no language model."""

    clip: ClipConfig = Field(default_factory=ClipConfig)
    """The vision-language model that embeds images and texts."""

    embed: EmbedConfig = Field(default_factory=EmbedConfig)
    """How images and texts are embedded."""

    audit: ChecksConfig = Field(default_factory=ChecksConfig)
    """What counts as a finding."""
