"""The settings of a job as the text of its --help, from the dataclasses themselves."""

import textwrap
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic_core import PydanticUndefined

from gist_ray.settings.declare import ByName

WIDTH = 98


def settings_help(config_type: Any, configs: Path) -> str:
    """Groups with their choices, then every setting with its default and meaning, by section."""
    lines = ["groups (choose with GROUP=CHOICE; choices are files in configs/):"]
    for folder in sorted(path for path in configs.iterdir() if path.is_dir()):
        choices = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        lines += _wrapped(f"{folder.name}: {choices}", indent=2)
    own: list[str] = []
    sections: list[str] = []
    for name, field in config_type.__pydantic_fields__.items():
        nested: list[Any] = [leaf for leaf in _leaves(field.annotation) if is_dataclass(leaf)]
        by_name: dict[str, Any] = {}
        for mark in field.metadata:
            by_name |= mark.types() if isinstance(mark, ByName) else {}
        if by_name:
            sections += ["", *_wrapped(f"{name}: {_words(field.description)}", indent=0)]
        elif not nested:
            own += _entry(name, field)
        for key, leaf in by_name.items():
            for setting, inner in leaf.__pydantic_fields__.items():
                sections += _entry(f"{name}.{key}.{setting}", inner)
        for leaf in nested:
            which = f" ({leaf.__name__})" if len(nested) > 1 else ""
            sections += ["", *_wrapped(f"{name}{which}: {_words(field.description)}", indent=0)]
            for setting, inner in leaf.__pydantic_fields__.items():
                sections += _entry(f"{name}.{setting}", inner)
    return "\n".join([*lines, "", "settings (KEY=VALUE):", *own, *sections])


def _entry(key: str, field: Any) -> list[str]:
    return [f"  {key}{_default(field)}", *_wrapped(_words(field.description), indent=6)]


def _default(field: Any) -> str:
    value = field.default_factory() if field.default_factory else field.default
    if value is PydanticUndefined:
        return "  (from its group)"
    value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    shown = "null" if value is None else str(value)
    return f"={shown}" if len(shown) <= 60 else ""


def _words(text: str | None) -> str:
    return " ".join((text or "").split())


def _wrapped(text: str, indent: int) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=space, subsequent_indent=space)


def _leaves(annotation: Any) -> Iterator[Any]:
    """The classes inside unions and Annotated."""
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _leaves(argument)
