"""Settings of the CLIP and of embedding with it."""

from typing import Annotated, Literal

from pydantic import Field

from gist_ray.images.limits import ImageLimits, WhiteLevel
from gist_ray.run.resources import Resources
from gist_ray.settings.declare import Runtime, settings

LOCAL_MODEL = "local-dir:"
"""open_clip's prefix of a model that is a folder."""

Rgb = tuple[float, float, float]


@settings
class ClipConfig:
    model: str = "butterfly-clip"
    """The model to load: `butterfly-clip` (shipped with the package), an open_clip architecture
    such as `ViT-B-32`, `hf-hub:org/name`, or `local-dir:FOLDER` (local or s3://) with an
    open_clip_config.json and weights, such as a fine-tuned checkpoint."""

    pretrained: str = ""
    """For an architecture: open_clip's tag (`laion2b_s34b_b79k`) or a weights file. Empty: random
    weights. The other forms of `model` bring their own."""

    image_mean: Rgb | None = None
    """Mean the weights were trained with. Needed for a weights file, which does not say; otherwise
    it comes with the model."""

    image_std: Rgb | None = None
    """Standard deviation the weights were trained with; as `image_mean`."""


@settings
class EmbedConfig:
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the towers. Embeddings are stored in fp32."""

    batch_size: Annotated[int, Field(ge=1), Runtime] = 256
    """Images or texts per forward pass."""

    rows_per_part: Annotated[int, Field(ge=1), Runtime] = 512
    """Rows per stored part file: the most that a crash redoes per worker."""

    max_workers: Annotated[int, Field(ge=1), Runtime] = 1
    """Most encoder processes (actors) at once, each with its own copy of the model; a second one
    is always allowed, to take over from one that died."""

    cpus_per_worker: Annotated[float, Field(gt=0), Runtime] = 1
    """CPUs, and torch threads, of an encoder process."""

    gpus_per_worker: Annotated[float, Field(ge=0), Runtime] = 0
    """GPUs of an encoder process; fractions share one. 0 runs on the CPU."""

    max_decoders: Annotated[int, Field(ge=1), Runtime] = 2
    """Most processes that fetch and decode images at once, one CPU each."""

    max_image_mib: Annotated[float, Field(gt=0)] = ImageLimits.max_image_mib
    """Image files above this many MiB become error rows."""

    max_image_pixels: Annotated[int, Field(ge=1, le=178_956_970)] = ImageLimits.max_image_pixels
    """Images with more pixels become error rows before they are decoded; at most Pillow's own
    limit."""

    white_level: WhiteLevel = None
    """The value that is white in grey pictures of more than 8 bits, such as 4095 for 12 bits in a
    16-bit PNG or TIFF, or 65535. null: 65535, or 255 (for floats also 1) in a picture with no value
    above it; the plan refuses 16-bit pictures of which none uses more than 14 bits, until this is
    set."""

    @property
    def limits(self) -> ImageLimits:
        """Returns what holds for every picture as one value."""
        return ImageLimits(
            max_image_mib=self.max_image_mib,
            max_image_pixels=self.max_image_pixels,
            white_level=self.white_level,
        )


def resources_of(embed: EmbedConfig) -> Resources:
    """Returns the CPUs and GPUs that an embedding stage uses."""
    return Resources(
        embed.cpus_per_worker,
        embed.gpus_per_worker,
        "embed.cpus_per_worker",
        "embed.gpus_per_worker",
    )
