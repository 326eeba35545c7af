"""A tiny world with imported texts, and sweeps over it."""

import json
from pathlib import Path

import pytest

from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.settings.check import build
from gist_ray.settings.commandline import choices_of_axes, chosen_groups, compose_values
from gist_ray.sweep.config import SweepRun
from tests.end_to_end.conftest import TINY_TRIAL, WORLD, texts_from_notes


@pytest.fixture(scope="session")
def tiny_words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings that make every stage of a trial small."""
    texts = tmp_path_factory.mktemp("texts") / "texts.json"
    texts.write_text(json.dumps(texts_from_notes(WorldConfig(**WORLD))))
    return [
        *[f"data.{name}={value}" for name, value in WORLD.items()],
        f"texts.import_from={texts}",
        *TINY_TRIAL,
    ]


def write_sweep(folder: Path, name: str, text: str) -> str:
    """A user's own sweep in `folder`; returns the folder for --config-dir."""
    file = folder / "sweep" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(folder)


def sweep(words: list[str], config_dir: Path, plan_only: bool = False) -> SweepRun:
    """Does what `gist-ray sweep` does."""
    from gist_ray.sweep.sweep import run_sweep

    run: SweepRun = build(SweepRun, compose_values("sweep", words, config_dir))
    groups = choices_of_axes(run.sweep.space, "sweep", words, config_dir)
    choices = chosen_groups("sweep", words, config_dir)
    run_sweep(run, groups, choices, plan_only=plan_only)
    return run
