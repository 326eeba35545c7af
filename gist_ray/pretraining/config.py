"""Settings of a pretraining."""

from typing import Annotated, Any

from pydantic import Field

from gist_ray.finetune.config import FinetuneConfig
from gist_ray.settings.declare import Runtime, settings


@settings
class PretrainConfig:
    """Settings of one pretraining, on the drawn corpus or on pictures with captions."""

    root: Annotated[str, Runtime] = "results"
    """Where artifacts are kept: a local folder or s3://bucket/prefix."""

    captions: str = ""
    """Pictures with captions, a Parquet table with the columns image (relative to the table's
    folder), captions (a list) and split (train, val or test); perhaps group, by which test is
    told apart. Empty: the corpus is drawn."""

    out: Annotated[str, Runtime] = ""
    """Folder the model is copied to, local or s3://. Empty: it lies where its artifact does."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the weights, the order and the augmentation. The corpus has its own."""

    corpus_seed: Annotated[int, Field(ge=0)] = 0
    """Which corpus is drawn."""

    num_pictures: Annotated[int, Field(ge=2)] = 40_000
    """Drawn pictures to train on, three captions each."""

    num_held_out: Annotated[int, Field(ge=2)] = 1000
    """Drawn pictures the result is measured on; the shipped figures are among 1,000."""

    num_val: Annotated[int, Field(ge=1)] = 1000
    """Further held-out drawn pictures, which choose the epoch."""

    num_merges: Annotated[int, Field(ge=1, le=48_894)] = 8000
    """Byte-pair merges that are kept of CLIP's tokenizer."""

    model_cfg: dict[str, Any]
    """The architecture, as open_clip's model configs have it; the vocabulary is filled in."""

    preprocess_cfg: dict[str, Any]
    """Mean and standard deviation of the pictures."""

    finetune: FinetuneConfig
    """The training."""
