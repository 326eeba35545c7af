"""Settings of the pack job."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.datasets.config import DataConfig
from gist_ray.images.limits import WhiteLevel
from gist_ray.settings.declare import Runtime, settings


@settings
class PackConfig:
    """One packing of a data set's pictures into Parquet shards."""

    out: Annotated[str, Field(min_length=1), Runtime]
    """Folder of the packed set, local or s3://bucket/prefix: new, or of a pack to go on with."""

    data: DataConfig
    """The data set to pack, as the pipeline reads it. Its splits are drawn here."""

    images_per_shard: Annotated[int, Field(ge=1)] = 1000
    """Images per Parquet file. Files of 50 to 500 MB are handy: take fewer for large images."""

    row_group_mib: Annotated[float, Field(gt=0)] = 0.5
    """Bytes of images, in MiB, that are fetched together when one of them is read."""

    max_side_px: Annotated[int, Field(ge=16)] | None = None
    """null keeps every file's bytes as they are. A number encodes each image again, upright and
    RGB, with its longer side at most that many pixels; it is never enlarged."""

    encode_as: Literal["jpeg", "webp"] = "jpeg"
    """With max_side_px: the format to write."""

    quality: Annotated[int, Field(ge=1, le=100)] = 92
    """With max_side_px: quality of that format."""

    max_image_mib: Annotated[float, Field(gt=0)] = 64
    """Image files above this many MiB become error rows."""

    max_image_pixels: Annotated[int, Field(ge=1, le=178_956_970)] = 100_000_000
    """With max_side_px: images with more pixels become error rows before they are decoded."""

    white_level: WhiteLevel = None
    """With max_side_px: the value that is white in grey pictures of more than 8 bits, as
    embed.white_level."""

    max_failed_fraction: Annotated[float, Field(ge=0, le=1), Runtime] = 0.01
    """Largest share of images that may fail before the job ends with exit code 1."""

    max_workers: Annotated[Annotated[int, Field(ge=1)] | None, Runtime] = None
    """Shards that are made at once, each by a process on one CPU; null: one for each CPU."""

    fetch_threads: Annotated[int, Field(ge=1), Runtime] = 16
    """Images that a process fetches at once."""

    @model_validator(mode="after")
    def _packs_every_image(self) -> "PackConfig":
        if self.data.exclude:
            raise ValueError(
                f"data.exclude={self.data.exclude}: pack takes every image; set it where the "
                "packed set is read"
            )
        return self
