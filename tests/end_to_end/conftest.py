"""A tiny world with texts that need no language model, and what turns one into a user's files."""

import json
from pathlib import Path

import pytest

from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.notes import field_notes
from gist_ray.demo.butterflies.species import make_species
from tests.end_to_end.running import configured, run

WORLD = {
    "seed": 401,
    "num_genera": 2,
    "species_per_genus": 2,
    "train_per_species": 12,
    "val_per_species": 2,
    "test_per_species": 4,
}

TINY_TRIAL = [
    "study.trainings=[gist]",
    "study.shots=[2]",
    "study.seeds=[1]",
    "finetune.num_steps=2",
    "finetune.batch_size=8",
    "finetune.precision=fp32",
    "evaluation.num_bootstrap=50",
]
TINY_STAGES = [*TINY_TRIAL, "matching.k=1"]
"""Settings that make every stage small."""


def texts_from_notes(world: WorldConfig) -> dict[str, list[str]]:
    """{class: a true sentence per form}, in the order of the notes' forms."""
    return {
        name: [_sentence(form, dict(facts)) for form, facts in forms.items()]
        for name, forms in field_notes(make_species(world)).items()
    }


def _sentence(form: str, facts: dict[str, str]) -> str:
    border = facts.pop("border", "")
    parts = [
        f"{colour} {part}" if part.endswith("wings") else colour for part, colour in facts.items()
    ]
    end = f" and a {border} border" if border else ""
    return f"The {form} has {' with '.join(parts)}{end}."


@pytest.fixture(scope="session")
def world() -> WorldConfig:
    return WorldConfig(**WORLD)


@pytest.fixture(scope="session")
def texts_file(world: WorldConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("texts") / "texts.json"
    path.write_text(json.dumps(texts_from_notes(world)))
    return str(path)


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    return TINY_STAGES


@pytest.fixture(scope="session")
def in_world(world: WorldConfig, texts_file: str, tiny: list[str]) -> list[str]:
    sizes = [f"data.{name}={value}" for name, value in vars(world).items() if name != "layout"]
    return [*sizes, *tiny, f"texts.import_from={texts_file}", "name=tiny"]


@pytest.fixture(scope="session")
def finished(ray_local: None, in_world: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The root of a run that was killed before its training and then done again."""
    root = str(tmp_path_factory.mktemp("root"))
    config = configured(*in_world, f"root={root}")
    with pytest.MonkeyPatch.context() as patch:

        def killed(*arguments: object, **settings: object) -> None:
            raise ConnectionError("the machine went away")

        patch.setattr("gist_ray.finetune.stage.train_clip", killed)
        with pytest.raises(ConnectionError, match="the machine went away"):
            run(config)
    embedded = {path: path.stat().st_mtime_ns for path in Path(root).rglob("artifact.json")}
    run(config)
    assert len(embedded) >= 7
    assert all(path.stat().st_mtime_ns == made for path, made in embedded.items())
    return root
