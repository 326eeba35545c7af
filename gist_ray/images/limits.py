"""Settings that hold for every picture that a run reads."""

from typing import Annotated

from pydantic import Field

from gist_ray.settings.declare import settings

WhiteLevel = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


@settings
class ImageLimits:
    """Limits of the pictures that any part of a run reads, and the scale of their pixels."""

    max_image_mib: Annotated[float, Field(gt=0)] = 64
    """Largest image file in MiB."""

    max_image_pixels: Annotated[int, Field(ge=1, le=178_956_970)] = 100_000_000
    """Most pixels of an image; at most Pillow's own limit."""

    white_level: WhiteLevel = None
    """The value that is white in pictures of more than 8 bits per pixel and colour."""

    @property
    def max_bytes(self) -> int:
        """Returns `max_image_mib` in bytes."""
        return int(self.max_image_mib * 2**20)
