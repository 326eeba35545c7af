"""Every command line of these pages composes into valid settings, without data or weights."""

import re
import shlex
from pathlib import Path

import pytest

from gist_ray.audit.config import AuditConfig
from gist_ray.datasets.config import DataConfig
from gist_ray.pretraining.config import PretrainConfig
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig
from gist_ray.texts.prompt_set import prompt_set_problems

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("recipes.md", "emoji.md", "audit.md", "slices.md")
COMMANDS = {
    "run": ("config", RunConfig),
    "audit": ("audit", AuditConfig),
    "pretrain": ("pretrain", PretrainConfig),
}
FLAGS = {"--plan": 0, "--until": 1}


def commands(page: str) -> list[str]:
    """The lines of the page's shell blocks that call gist-ray."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("gist-ray ")]


def composed(line: str) -> RunConfig | AuditConfig | PretrainConfig:
    _, command, *words = shlex.split(line, comments=True)
    overrides = []
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            del words[: FLAGS[word]]
        else:
            overrides.append(word)
    name, settings = COMMANDS[command]
    built: RunConfig | AuditConfig | PretrainConfig = build(
        settings, compose_values(name, overrides)
    )
    return built


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_the_command_composes(line: str) -> None:
    config = composed(line)
    if isinstance(config, RunConfig):
        assert prompt_set_problems(config.prompts) == []


def test_there_is_a_recipe_for_each_of_the_four_sets() -> None:
    configs = [composed(line) for line in commands("recipes.md")]
    layouts = set()
    for config in configs:
        assert isinstance(config, RunConfig)
        assert isinstance(config.data, DataConfig)
        layouts.add(config.data.layout)
        assert config.finetune.gpus_per_worker == config.embed.gpus_per_worker == 1
        assert config.matcher is not None
        assert config.matcher.model == "ViT-B-32"
    assert layouts == {"cub", "coop_split", "flowers", "aircraft", "fitzpatrick40"}
