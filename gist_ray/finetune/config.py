"""How CLIP is fine-tuned, or trained from random weights, on image-text pairs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.run.resources import Resources
from gist_ray.settings.declare import Runtime, settings


@settings
class FinetuneConfig:
    num_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps in all; the last epoch may be cut short. Set this or `num_epochs`."""

    num_epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the images. Set this or `num_steps`."""

    batch_size: Annotated[int, Field(ge=2)] = 64
    """Image-text pairs per optimizer step over all workers: the contrast of the loss. A smaller
    training set is one batch."""

    micro_batches: Annotated[int, Field(ge=1)] = 1
    """Parts a worker cuts its share of the batch into, to save memory. The loss still contrasts
    the whole batch; each part is encoded twice."""

    loss: Literal["infonce", "multi_positive"] = "infonce"
    """`infonce`: every other text of the batch is a negative, as published. `multi_positive`:
    texts and images of one class are positives of each other."""

    optimizer: Literal["adamw", "adam"] = "adamw"
    """`adam` has its weight decay inside the gradient, on every parameter (GIST's reference)."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Peak learning rate."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on after the warm-up."""

    warmup_steps: Annotated[int, Field(ge=0)] = 10
    """Steps over which the learning rate rises to its peak."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Decay of matrices; with `adamw` none on biases, norms, embeddings and logit_scale."""

    betas: tuple[float, float] = (0.9, 0.98)
    """Adam's decay rates of the first and second moment."""

    eps: Annotated[float, Field(gt=0)] = 1e-6
    """Adam's epsilon."""

    clip_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; null leaves it as it is."""

    clamp_logit_scale: bool = True
    """Keep logit_scale in [0, ln 100], as CLIP was trained; GIST's reference does not."""

    precision: Literal["fp32", "amp_bf16", "amp_fp16", "fp16_roundtrip"] = "fp32"
    """`amp_*`: mixed precision over fp32 master weights. `fp16_roundtrip`: GIST's reference, which
    rounds every matrix to fp16 after each step, so that at its learning rate most never move."""

    train_towers: Literal["both", "image", "text"] = "both"
    """The tower left out is frozen; logit_scale, which belongs to neither, is always trained."""

    unlocked_image_groups: Annotated[int, Field(ge=1)] | None = None
    """Train only this many of the last groups of the image tower (open_clip's
    lock_image_tower, which ModifiedResNet lacks). null: all."""

    freeze_batch_norm: bool = True
    """Keep the statistics of batch normalisation as pretrained: batches are small and of few
    classes. Off when training from random weights."""

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

    validate_every_steps: Annotated[int, Field(ge=1)] = 50
    """Steps between validations (at ends of epochs); a checkpoint is stored at each."""

    num_validation_images: Annotated[int, Field(ge=1)] = 2000
    """Most training images, and most val images, that a validation embeds, in one worker while the
    others wait: a sample drawn once by the training's seed, even over the classes, with at least
    one image of each class. Smaller sets are embedded whole."""

    num_workers: Annotated[int, Field(ge=1)] = 1
    """Ray Train workers; the batch is divided among them, and features are gathered."""

    cpus_per_worker: Annotated[int, Field(ge=1), Runtime] = 1
    """CPUs and torch threads of a worker."""

    gpus_per_worker: Annotated[float, Field(ge=0), Runtime] = 0
    """GPUs of a worker; 0 trains on the CPU."""

    loader_processes: Annotated[int, Field(ge=0), Runtime] = 0
    """Processes per worker that read and augment pictures; 0 does it in the worker."""

    cache_mib: Annotated[int, Field(ge=0), Runtime] = 512
    """Encoded pictures that a reading process keeps in memory between epochs, in MiB."""

    max_failures: Annotated[int, Field(ge=0), Runtime] = 3
    """How often a training goes on from its last checkpoint after a worker died."""

    @model_validator(mode="after")
    def _check(self) -> "FinetuneConfig":
        if (self.num_steps is None) == (self.num_epochs is None):
            raise ValueError("set exactly one of num_steps and num_epochs; the other is null")
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
    """Returns what a training keeps busy."""
    return Resources(
        config.num_workers * config.cpus_per_worker,
        config.num_workers * config.gpus_per_worker,
        "finetune.num_workers x finetune.cpus_per_worker",
        "finetune.num_workers x finetune.gpus_per_worker",
    )
