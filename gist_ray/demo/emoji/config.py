"""The settings of the emoji set: the vendors of its splits."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.settings.declare import settings

Vendor = Literal["openmoji", "google", "twitter", "fluent"]


def _all_but_google() -> list[Vendor]:
    return ["openmoji", "twitter", "fluent"]


@settings
class EmojiConfig:
    pretrain: Annotated[list[Vendor], Field(min_length=2)] = Field(default_factory=_all_but_google)
    """Vendors whose pictures the small CLIP is trained on. At least two, since the epoch is chosen
    on single pictures of emoji that the other vendors show in training."""

    train: Annotated[list[Vendor], Field(min_length=1)] = Field(default_factory=_all_but_google)
    """Vendors whose pictures are train and val of the data set."""

    test: Vendor = "google"
    """The vendor whose pictures are the test split."""

    image_px: Annotated[int, Field(ge=8)] = 64
    """Width and height of the pictures."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the draw of emoji for val, and of those left out of pretraining."""

    @model_validator(mode="after")
    def _check(self) -> "EmojiConfig":
        if self.test in (*self.pretrain, *self.train):
            raise ValueError(f"test={self.test} is also trained on: take another vendor for either")
        return self
