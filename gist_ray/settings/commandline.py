"""Composes the words of a command line, KEY=VALUE and GROUP=CHOICE, into plain values.

Hydra composes the groups of configs/; from there on there are only checked dataclasses.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gist_ray.errors import UserError
from gist_ray.settings.check import CREDENTIALS_FIX
from gist_ray.settings.configs import CONFIGS
from gist_ray.store.s3 import holds_credentials

# ${oc.env:HOME}, ${now:%Y}, but not ${data.seed}
RESOLVER = re.compile(r"\$\{[^{}]*:")

PLACES = {
    "captions",
    "class_names",
    "classifier",
    "concepts",
    "data.exclude",
    "images",
    "import_from",
    "notes",
    "out",
    "path",
    "root",
    "run",
}
"""Settings whose value is a path or a URI, by the last part of their name or, where another setting
shares it, by the whole name. On the command line it is taken as it is written: Hydra's grammar has
a use for ( ) [ ] { } , = : and others."""

NOT_LITERAL = re.compile(r"""\$\{|^(null|\?\?\?|"[^"]*"|'[^']*')?$""")
"""A value that Hydra reads also for a place: a reference to another setting, null, or quoted."""

CHANGING_OTHERS = {"experiment", "sweep"}
"""Groups without settings of their own: their choices set those of others."""


def compose_values(
    config_name: str, overrides: list[str], config_dir: Path | None = None
) -> dict[str, Any]:
    """The composed config as plain values. Raises UserError for what Hydra cannot read.

    A key that Hydra does not know is let through, so that all of them are reported together.
    """
    composed = _composed(config_name, overrides, config_dir)
    try:
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise _does_not_compose(error) from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def group_choices(config_dir: Path | None = None) -> dict[str, set[str]]:
    """{group: its choices}, of the project's configs and of a folder of the user's own."""
    return _choices(_folders(config_dir))


def chosen_groups(
    config_name: str, overrides: list[str], config_dir: Path | None = None
) -> dict[str, str]:
    """{group: choice} that a config is composed from, but for what only changes others."""
    composed = _composed(config_name, overrides, config_dir, with_hydra=True)
    known = group_choices(config_dir).keys() - CHANGING_OTHERS
    choices = composed.hydra.runtime.choices
    return {str(group): choices[group] for group in sorted(known) if choices.get(group)}


def choices_of_axes(
    axes: Mapping[str, Any],
    config_name: str,
    overrides: list[str],
    config_dir: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """{group: {choice: its settings}} of the axes that are groups and whose values are choices.

    Raises UserError for a choice that there is not.
    """
    groups = group_choices(config_dir).keys() - CHANGING_OTHERS
    found: dict[str, dict[str, Any]] = {}
    for group in groups.intersection(axes):
        rest = [word for word in overrides if not word.startswith(f"{group}=")]
        for choice in axes[group]:
            if isinstance(choice, str):
                words = [*rest, f"{group}={choice}"]
                values = compose_values(config_name, words, config_dir)
                found.setdefault(group, {})[choice] = values[group]
    return found


def _composed(
    config_name: str, overrides: list[str], config_dir: Path | None, *, with_hydra: bool = False
) -> DictConfig:
    folders = _folders(config_dir)
    words = [override.partition("=") for override in overrides]
    if secrets := [f"{key}: {CREDENTIALS_FIX}" for key, _, v in words if holds_credentials(v)]:
        raise UserError(secrets)
    parsed = _parsed(overrides)
    choices = _choices(folders)
    problems = _wrong_choices(parsed, choices)
    if problems:
        raise UserError(problems)
    lenient = [_with_new_keys(override, choices) for override in parsed]
    if config_dir is not None:
        lenient.append(f"hydra.searchpath=['file://{config_dir.resolve()}']")
    try:
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            composed = compose(config_name, overrides=lenient, return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise _does_not_compose(error) from error
    if not with_hydra:  # Hydra's own settings have resolvers
        _refuse_resolvers(composed)
    return composed


def _parsed(words: list[str]) -> list[Override]:
    """Returns the overrides. Raises UserError with every word that Hydra cannot read."""
    parser = OverridesParser.create()
    parsed, problems = [], []
    for word in words:
        try:
            parsed.append(parser.parse_override(_with_literal_place(word)))
        except HydraException as error:
            key, _, value = word.partition("=")
            quoted = shlex.quote(f"{key}={_quoted(value)}")
            problems.append(
                f"The command line cannot be read: {word}: {_first_line(error)}. If the value is "
                f"one text, write it in quotes of its own: {quoted}"
            )
    if problems:
        raise UserError(problems)
    return parsed


def _with_literal_place(word: str) -> str:
    key, _, value = word.partition("=")
    name = key.lstrip("+")
    is_place = name in PLACES or name.rpartition(".")[2] in PLACES
    return f"{key}={_quoted(value)}" if is_place and not NOT_LITERAL.search(value) else word


def _quoted(value: str) -> str:
    return QuotedString(value, Quote.single).with_quotes()


def _does_not_compose(error: Exception) -> UserError:
    return UserError(f"The config does not compose: {_first_line(error)}.")


def _folders(config_dir: Path | None) -> list[Path]:
    """Where groups are: the project's configs, and the user's."""
    if config_dir is None:
        return [CONFIGS]
    if not config_dir.is_dir():
        raise UserError(f"--config-dir {config_dir}: there is no such folder.")
    return [CONFIGS, config_dir]


def _refuse_resolvers(composed: DictConfig) -> None:
    """Raise UserError where a value comes from outside the config: the environment, a file, the
    clock. It would stand in config.yaml and in the report, a secret like any other, and be another
    one tomorrow. `${other.key}` is fine."""
    found = list(_resolvers(OmegaConf.to_container(composed), ""))
    if found:
        raise UserError(
            [
                f"{key}={value}: a config may not read the environment or anything else outside "
                "it, since it is stored with every run. Write the value itself."
                for key, value in found
            ]
        )


def _resolvers(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _resolvers(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _resolvers(inner, key)
    elif isinstance(value, str) and RESOLVER.search(value):
        yield key, value


def _choices(folders: list[Path]) -> dict[str, set[str]]:
    """The choices of every group."""
    choices: dict[str, set[str]] = {}
    for folder in folders:
        for group in folder.iterdir():
            if group.is_dir():
                choices.setdefault(group.name, set()).update(f.stem for f in group.glob("*.yaml"))
    return choices


def _wrong_choices(overrides: list[Override], choices: dict[str, set[str]]) -> list[str]:
    problems = []
    for override in overrides:
        if override.key_or_group not in choices:
            continue
        known, chosen = choices[override.key_or_group], _listed(override.value())
        if any(isinstance(choice, str) and choice not in known for choice in chosen):
            why = "there is no such choice"
        elif not chosen:
            why = "nothing is chosen"
        else:
            continue
        problems.append(f"{override.input_line}: {why}. There are: {', '.join(sorted(known))}.")
    return problems


def _listed(value: Any) -> list[Any]:
    """The choices of an override: several for methods=[linear_probe,sgd_probe]."""
    return value if isinstance(value, list) else [value]


def _with_new_keys(override: Override, choices: dict[str, set[str]]) -> str:
    """The override such that its key need not be there, unless it chooses from a group."""
    line = str(override.input_line)
    if override.key_or_group in choices or override.is_delete():
        return line
    return f"++{line.lstrip('+')}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
