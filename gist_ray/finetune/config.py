"""How CLIP is fine-tuned, or trained from random weights, on image-text pairs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.run.resources import Resources
from gist_ray.settings.declare import Runtime, settings
from gist_ray.train import config as training
from gist_ray.train.config import TrainConfig


@settings
class FinetuneConfig(TrainConfig):
    """The settings of a training, and those of CLIP on pairs."""

    batch_size: Annotated[int, Field(ge=2)] = 64
    """Image-text pairs per optimizer step over all workers: the contrast of the loss. A smaller
    training set is one batch."""

    micro_batches: Annotated[int, Field(ge=1)] = 1
    """Parts a worker cuts its share of the batch into, to save memory. The loss still contrasts
    the whole batch; each part is encoded twice."""

    loss: Literal["infonce", "multi_positive"] = "infonce"
    """`infonce`: every other text of the batch is a negative, as published. `multi_positive`:
    texts and images of one class are positives of each other."""

    clamp_logit_scale: bool = True
    """Keep logit_scale in [0, ln 100], as CLIP was trained; GIST's reference does not."""

    precision: Literal["fp32", "amp_bf16", "amp_fp16", "fp16_roundtrip"] = "fp32"  # type: ignore[assignment]
    """`amp_*`: mixed precision over fp32 master weights. `fp16_roundtrip`: GIST's reference, which
    rounds every matrix to fp16 after each step, so that at its learning rate most never move."""

    train_towers: Literal["both", "image", "text"] = "both"
    """The tower left out is frozen; logit_scale, which belongs to neither, is always trained."""

    unlocked_image_groups: Annotated[int, Field(ge=1)] | None = None
    """Train only this many of the last groups of the image tower (open_clip's
    lock_image_tower, which ModifiedResNet lacks). null: all."""

    grad_checkpointing: Annotated[bool, Runtime] = False
    """Recompute activations in the backward pass: less memory, about a third more time."""

    wise_ft: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Weight of the tuned weights in the average with the weights before (WiSE-FT); 1 takes the
    tuned ones as they are."""

    crop_scale_min: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Smallest share of a picture's area that a random crop keeps (FLYP's 0.9)."""

    horizontal_flip: bool = True
    """Mirror half of the pictures. Off where left and right mean something."""

    select_by: Literal["probe", "retrieval", "last"] = "probe"
    """How the best epoch is chosen, on val only. `probe`: log-loss of a linear probe fitted on the
    training images; `retrieval`: share of val pictures whose own caption ranks first; `last`."""

    num_validation_images: Annotated[int, Field(ge=1)] = 2000
    """Most training images, and most val images, that a validation embeds, in one worker while the
    others wait: a sample drawn once by the training's seed, even over the classes, with at least
    one image of each class. Smaller sets are embedded whole."""

    cache_mib: Annotated[int, Field(ge=0), Runtime] = 512
    """Pictures that a reading process keeps in memory between epochs, in MiB: decoded if they are
    so small that all fit, else as their files."""

    @model_validator(mode="after")
    def _check_pairs(self) -> "FinetuneConfig":
        if self.batch_size % (self.num_workers * self.micro_batches):
            raise ValueError(
                f"batch_size={self.batch_size} does not divide into num_workers={self.num_workers} "
                f"x micro_batches={self.micro_batches}; make it a multiple of their product"
            )
        if self.unlocked_image_groups is not None and self.train_towers == "text":
            raise ValueError(
                f"unlocked_image_groups={self.unlocked_image_groups} trains a part of the image "
                "tower and train_towers=text none of it; set one of them to null or both"
            )
        return self


def resources_of(config: FinetuneConfig) -> Resources:
    """Returns the CPUs and GPUs that a fine-tuning uses."""
    return training.resources_of(config, "finetune")
