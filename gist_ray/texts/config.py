"""Where texts come from and which of them are used."""

from typing import Literal

from pydantic import Field

from gist_ray.settings.declare import settings
from gist_ray.texts.clean import CleaningConfig
from gist_ray.texts.shorten import ShorteningConfig


@settings
class TextsConfig:
    import_from: str = ""
    """Ready-made texts instead of generated ones: a JSON file {class: [texts]} or
    {image: [captions]}, or a Parquet file with the columns class_name and text. Empty: generate."""

    unknown_images: Literal["error", "skip"] = "error"
    """What becomes of imported captions of images that the data set does not have."""

    notes: str = ""
    """Notes on the classes as JSON, {class name: {axis value: {fact: value}}}, for prompts that
    word facts. The embedded set brings its own."""

    cleaning: CleaningConfig = Field(default_factory=CleaningConfig)
    """Which texts are left out."""

    shorten: ShorteningConfig | None = None
    """Have the language model shorten every accepted text in a second pass; the model is then
    trained on the short text, while the long one is matched. null: no second pass."""
