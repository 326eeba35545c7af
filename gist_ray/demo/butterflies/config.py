"""How large a world of butterflies is, and which one."""

from typing import Annotated, Literal

from pydantic import Field

from gist_ray.settings.declare import settings


@settings
class WorldConfig:
    """A world: its species, and the pictures of each."""

    layout: Literal["butterflies"] = "butterflies"
    """Names this data set among the others."""
    seed: Annotated[int, Field(ge=0)] = 7
    """Which world. Two worlds share no species and no picture; a choice made on one is tested on
    another."""
    num_genera: Annotated[int, Field(ge=1, le=2000)] = 5
    """Number of genera, 1 to 2,000. The species of a genus look alike."""
    species_per_genus: Annotated[int, Field(ge=1, le=50)] = 4
    """Number of species in a genus, 1 to 50. The more, the harder they are to tell apart."""
    train_per_species: Annotated[int, Field(ge=0)] = 30
    """Pictures of each species to train on."""
    val_per_species: Annotated[int, Field(ge=0)] = 10
    """Pictures of each species to choose by."""
    test_per_species: Annotated[int, Field(ge=0)] = 30
    """Pictures of each species to report on."""
    image_px: Annotated[int, Field(ge=16, le=1024)] = 64
    """Width and height of a picture in pixels, 16 to 1,024."""
