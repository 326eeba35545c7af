"""The settings of a world of butterflies: its seed and its size."""

from typing import Annotated, Literal

from pydantic import Field

from gist_ray.settings.declare import settings


@settings
class WorldConfig:
    """A world: its seed, its species and the pictures of each."""

    layout: Literal["butterflies"] = "butterflies"
    """Distinguishes this data set from the other layouts."""
    seed: Annotated[int, Field(ge=0)] = 7
    """The seed, which selects the world. Two worlds share no species and no picture, so a choice
    that is made on one can be tested on another."""
    num_genera: Annotated[int, Field(ge=1, le=2000)] = 5
    """Number of genera, 1 to 2,000. The species of a genus look alike."""
    species_per_genus: Annotated[int, Field(ge=1, le=50)] = 4
    """Number of species in a genus, 1 to 50. The more, the harder they are to tell apart."""
    train_per_species: Annotated[int, Field(ge=0)] = 30
    """Number of training pictures of each species."""
    val_per_species: Annotated[int, Field(ge=0)] = 10
    """Number of validation pictures of each species."""
    test_per_species: Annotated[int, Field(ge=0)] = 30
    """Number of test pictures of each species."""
    image_px: Annotated[int, Field(ge=16, le=1024)] = 64
    """Width and height of a picture in pixels, 16 to 1,024."""
