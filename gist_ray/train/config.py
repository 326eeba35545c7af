"""The settings that every training has, whatever it trains."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.run.stage import Resources
from gist_ray.settings.declare import Runtime, settings


@settings
class TrainConfig:
    """The settings of a training; those of a task extend it."""

    num_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps in all; the last epoch may be cut short. Set this or `num_epochs`."""

    num_epochs: Annotated[int, Field(ge=1)] | None = None
    """Passes over the training set. Set this or `num_steps`."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Rows per optimizer step over all workers. A smaller training set is one batch."""

    optimizer: Literal["adamw", "adam"] = "adamw"
    """`adam` has its weight decay inside the gradient, on every parameter (GIST's reference)."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Peak learning rate."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on after the warm-up."""

    warmup_steps: Annotated[int, Field(ge=0)] = 10
    """Steps over which the learning rate rises to its peak."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Decay of matrices; with `adamw` none on biases, norms, embeddings and scalars."""

    betas: tuple[float, float] = (0.9, 0.98)
    """Adam's decay rates of the first and second moment."""

    eps: Annotated[float, Field(gt=0)] = 1e-6
    """Adam's epsilon."""

    clip_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; null leaves it as it is."""

    precision: Literal["fp32", "amp_bf16", "amp_fp16"] = "fp32"
    """`amp_*`: mixed precision over fp32 master weights."""

    freeze_batch_norm: bool = True
    """Keep the statistics of batch normalisation as pretrained: batches are small and of few
    classes. Off when training from random weights."""

    validate_every_steps: Annotated[int, Field(ge=1)] = 50
    """Steps between validations (at ends of epochs); a checkpoint is stored at each."""

    num_workers: Annotated[int, Field(ge=1)] = 1
    """Processes that train; the batch is divided among them. One without a GPU is a warm worker,
    which trains one model after another; others are workers of Ray Train."""

    cpus_per_worker: Annotated[int, Field(ge=1), Runtime] = 1
    """CPUs and torch threads of a worker."""

    gpus_per_worker: Annotated[float, Field(ge=0), Runtime] = 0
    """GPUs of a worker; 0 trains on the CPU."""

    loader_processes: Annotated[int, Field(ge=0), Runtime] = 0
    """Processes per worker that read and augment pictures; 0 does it in the worker."""

    max_failures: Annotated[int, Field(ge=0), Runtime] = 3
    """How often a training goes on from its last checkpoint after a worker died."""

    @model_validator(mode="after")
    def _check_steps(self) -> "TrainConfig":
        if (self.num_steps is None) == (self.num_epochs is None):
            raise ValueError("set exactly one of num_steps and num_epochs; the other is null")
        return self


def resources_of(config: TrainConfig, group: str) -> Resources:
    """Returns the CPUs and GPUs that a training uses. group: the config group of `config`, for
    messages."""
    return Resources(
        config.num_workers * config.cpus_per_worker,
        config.num_workers * config.gpus_per_worker,
        f"{group}.num_workers x {group}.cpus_per_worker",
        f"{group}.num_workers x {group}.gpus_per_worker",
    )
