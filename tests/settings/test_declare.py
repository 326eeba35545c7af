from dataclasses import fields

import pytest

from gist_ray.finetune.config import FinetuneConfig
from gist_ray.settings.declare import settings
from gist_ray.sweep.config import SweepRun


@settings
class Base:
    kept: int = 1
    """Of the base."""

    changed: int = 2
    """Of the base."""


@settings
class Extended(Base):
    changed: int = 3
    """Of the extension."""

    added: int = 4
    """Of the extension."""


def test_a_setting_keeps_its_meaning_where_the_settings_are_extended() -> None:
    found = Extended.__pydantic_fields__  # type: ignore[attr-defined]
    assert {name: field.description for name, field in found.items()} == {
        "kept": "Of the base.",
        "changed": "Of the extension.",
        "added": "Of the extension.",
    }
    assert Base.__pydantic_fields__["changed"].description == "Of the base."  # type: ignore[attr-defined]


@pytest.mark.parametrize("config", [FinetuneConfig, SweepRun])
def test_every_setting_of_an_extended_config_has_a_meaning(config: type) -> None:
    described = config.__pydantic_fields__  # type: ignore[attr-defined]
    assert [field.name for field in fields(config) if not described[field.name].description] == []  # type: ignore[arg-type]
