"""The settings that decide where texts come from and which are used."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.settings.declare import InputFile, settings
from gist_ray.texts.clean import CleaningConfig
from gist_ray.texts.shorten import ShorteningConfig


@settings
class TextsConfig:
    import_from: Annotated[str, InputFile] = ""
    """Ready-made texts instead of generated ones: a JSON file {class: [texts]} or
    {image: [captions]}, or a Parquet file with the columns class_name and text. Empty: generate."""

    unknown_images: Literal["error", "skip"] = "error"
    """Whether imported captions of images that the data set does not have are an error or
    skipped."""

    use_pairs: bool = False
    """Whether the training `gist` takes the captions of each image as `import_from` pairs them,
    {image: [captions, best first]}, instead of matching texts anew: the first `matching.k` of each
    image. Of the cleaning only the checks empty and too_long apply then."""

    notes: Annotated[str, InputFile] = ""
    """Notes on the classes as JSON, {class name: {axis value: {fact: value}}}, for prompts that
    word facts. The embedded set brings its own."""

    cleaning: CleaningConfig = Field(default_factory=CleaningConfig)
    """Which texts are left out."""

    shorten: ShorteningConfig | None = None
    """Have the language model shorten every accepted text in a second pass; the model is then
    trained on the short text, while the long one is matched. null: no second pass."""

    concepts: Annotated[str, InputFile] = ""
    """Short phrases that belong to no class, for the methods that read them (ccli): a text file
    with one phrase a line, or a JSON list. Empty: they are mined from the texts of the classes."""

    max_concepts: Annotated[int, Field(ge=1)] = 2000
    """Most phrases that are mined, those that most texts use; of a file all are taken."""

    @model_validator(mode="after")
    def _pairs_come_from_a_file(self) -> "TextsConfig":
        if self.use_pairs and not self.import_from:
            raise ValueError(
                "use_pairs=true trains on imported pairs, and import_from is empty; give a JSON "
                "file {image: [captions]}, or set use_pairs to false"
            )
        return self
