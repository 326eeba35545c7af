"""Every file in configs/ composes into a valid run."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.settings.configs import CONFIGS
from gist_ray.study.config import RunConfig
from gist_ray.texts.prompt_set import prompt_set_problems

CHOICES = [f"{file.parent.name}={file.stem}" for file in sorted(CONFIGS.glob("*/*.yaml"))]
CHOICES = [choice for choice in CHOICES if not choice.startswith("sweep=")]  # tests/sweep


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_makes_a_valid_run(choice: str, tmp_path: Path) -> None:
    overrides = [choice]
    if choice.startswith("data=") and choice != "data=butterflies":
        overrides.append(f"data.path={tmp_path}")
    config = build(RunConfig, compose_values("config", overrides))
    assert prompt_set_problems(config.prompts) == []


def test_the_pretraining_has_a_valid_config() -> None:
    from gist_ray.pretraining.config import PretrainConfig

    build(PretrainConfig, compose_values("pretrain", []))


@pytest.mark.parametrize(
    "choice",
    ["data=butterflies", "embed=gpu", "finetune=flyp", "methods=[sgd_probe,zero_shot_best_texts]"],
)
def test_a_config_that_was_written_down_has_the_same_fingerprints(choice: str) -> None:
    config = build(RunConfig, compose_values("config", [choice]))
    read_again = build(RunConfig, yaml.safe_load(yaml.safe_dump(asdict(config))))
    assert json.dumps(asdict(read_again), sort_keys=True) == json.dumps(
        asdict(config), sort_keys=True
    )
