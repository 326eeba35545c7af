import pytest

from gist_ray.run.stage import Resources
from gist_ray.train.config import TrainConfig, resources_of


def test_steps_or_epochs_and_not_both() -> None:
    for options in ({}, {"num_steps": 1, "num_epochs": 1}):
        with pytest.raises(ValueError, match="exactly one of num_steps and num_epochs"):
            TrainConfig(**options)


def test_all_workers_are_counted_and_named() -> None:
    config = TrainConfig(num_steps=1, num_workers=3, cpus_per_worker=2, gpus_per_worker=0.5)
    assert resources_of(config, "grain") == Resources(
        6,
        1.5,
        "grain.num_workers x grain.cpus_per_worker",
        "grain.num_workers x grain.gpus_per_worker",
    )
