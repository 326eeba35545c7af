"""Settings of the export of a classifier, and of the prediction with one."""

from typing import Annotated

from pydantic import Field

from gist_ray.encoders.config import EmbedConfig
from gist_ray.settings.declare import Runtime, settings
from gist_ray.study.config import Shots


@settings
class ExportConfig:
    """Settings of the export of a classifier from a finished run."""

    run: Annotated[str, Field(min_length=1)]
    """Folder of the run: <root>/runs/<name>, local or s3://."""

    out: Annotated[str, Field(min_length=1), Runtime]
    """Where the classifier is written: a new folder, local or s3://."""

    features: str = ""
    """Whose features: gist, class_name, ... for the model of that training, or frozen for the model
    as it came. Empty: the ones that the run is about."""

    shots: Shots | None = None
    """Which number of shots of the run; null takes its last."""

    seed: Annotated[int, Field(ge=0)] | None = None
    """Which seed of the run; null takes its first. Never chosen by test."""

    method: str = "best"
    """Which of the run's methods; best takes the one with the highest val accuracy, of equal ones
    the lower log-loss."""

    target_accuracy: Annotated[float, Field(gt=0, le=1)] = 0.95
    """A prediction is withheld below the probability above which this share of the val images is
    right."""


@settings
class PredictConfig:
    """Settings of the prediction of many images with a classifier."""

    classifier: Annotated[str, Field(min_length=1)]
    """Folder of the classifier, as `gist-ray export` wrote it; local or s3://."""

    images: Annotated[str, Field(min_length=1)]
    """The images to classify: a folder or s3:// prefix (every picture below it), one picture, a
    packed set, or a table (.csv, .parquet, .jsonl) with a column of paths or URIs."""

    out: Annotated[str, Field(min_length=1), Runtime]
    """Folder of the predictions, local or s3://: new, or of a prediction to go on with."""

    image_column: str = "image"
    """Of a table: the column with the picture's path (relative to the table's folder) or URI."""

    id_column: str = ""
    """Of a table: the column that becomes image_id. Empty: image_id is a hash of the path."""

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """Predictions below this probability are marked as abstained; null takes the one that was
    chosen on val when the classifier was exported."""

    embed: EmbedConfig = Field(default_factory=EmbedConfig)
    """How images are read and embedded."""

    max_failed_fraction: Annotated[float, Field(ge=0, le=1), Runtime] = 0.01
    """Largest share of images that may fail before the job ends with exit code 1."""
