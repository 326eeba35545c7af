"""Settings of a sweep: what it varies, how it searches, and how it chooses."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from gist_ray.settings.declare import settings
from gist_ray.study.config import RunConfig, Seed
from gist_ray.sweep.space import Axis, flat_axes, space_problems

Tracker = Literal["tensorboard", "mlflow", "wandb"]


@settings
class SweepConfig:
    """One trial is the run's config with one value of every axis."""

    space: dict[str, Any]
    """{setting: values}, such as {matching.k: [1, 3, 5], finetune.learning_rate: {loguniform:
    [1e-5, 1e-3]}}. Values are a list, or {uniform: [low, high]}, {loguniform: [low, high]},
    {randint: [low, high]} with `high` left out. A group's name (clip, prompts) takes choices."""

    search: Literal["grid", "random", "optuna"] = "grid"
    """grid: every combination. random: `num_trials` draws. optuna: `num_trials` suggestions of
    Optuna's sampler (TPE), each after what was seen before."""

    num_trials: Annotated[int, Field(ge=1)] = 20
    """Only for random and optuna: how many configurations; each is tried with every swept seed and
    number of shots."""

    seed: Seed = 0
    """Seed of the draws and of Optuna's sampler."""

    measure: Literal["val", "test"] = "val"
    """val: trials see val alone, the best is chosen by it, and test is read once, for the chosen
    one. test: every trial is measured on test and nothing is chosen (studies)."""

    metric: Literal["val_log_loss", "val_accuracy"] = "val_log_loss"
    """The val measure of `method` that configurations are chosen by, as the mean over the swept
    seeds and shots."""

    method: str = "linear_probe"
    """The method of the run by whose val measures configurations are chosen."""

    scheduler: Literal["none", "asha"] = "none"
    """asha: trainings whose val score lags behind those of others at the same epoch are stopped."""

    grace_epochs: Annotated[int, Field(ge=1)] = 1
    """Only for asha: no training is stopped before this many epochs."""

    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """Only for asha: one of this many trainings continues at every rung."""

    max_concurrent_trials: Annotated[int, Field(ge=1)] | None = None
    """Trials at a time; null: as many as there is capacity for."""

    time_budget_minutes: Annotated[float, Field(gt=0)] | None = None
    """After this time no trial begins and running ones are stopped; the same command continues
    the sweep."""

    trackers: list[Tracker] = Field(default_factory=list)
    """Trackers that also show the trials: tensorboard, mlflow, wandb. See docs/sweeps.md."""

    @field_validator("space")
    @classmethod
    def _axes(cls, space: dict[str, Any]) -> dict[str, Axis]:
        axes = flat_axes(space)
        if problems := space_problems(axes):
            raise ValueError("; ".join(problems))
        return axes

    @model_validator(mode="after")
    def _fits_together(self) -> "SweepConfig":
        drawn = [key for key, axis in self.space.items() if isinstance(axis, dict)]
        if self.search == "grid" and drawn:
            raise ValueError(
                f"search=grid needs a list of values for {', '.join(drawn)}; search=random and "
                "search=optuna draw from a range"
            )
        if self.scheduler == "asha" and self.measure == "test":
            raise ValueError(
                "scheduler=asha stops trials by val, and measure=test wants all of them measured; "
                "set scheduler=none or measure=val"
            )
        return self


@settings
class SweepRun(RunConfig):
    """The config of a run with a sweep of it; `name` is the sweep's."""

    sweep: SweepConfig
    """The axes, the search and the choice of the best."""
