"""What all jobs share on the command line: compose, check, explain, exit with the truth.

Hydra composes the groups of configs/; from there on there are only checked dataclasses.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gist_ray.errors import UserError, full_disk, printable
from gist_ray.run.acquire import LeaseLostError
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.settings.help import settings_help
from gist_ray.store.s3 import holds_credentials
from gist_ray.study.config import CREDENTIALS_FIX, build

EXIT_FAILED_ROWS = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130

# ${oc.env:HOME}, ${now:%Y}, but not ${data.seed}
RESOLVER = re.compile(r"\$\{[^{}]*:")

CONFIGS = Path(__file__).parents[2] / "configs"

CHANGING_OTHERS = {"experiment", "sweep"}
"""Groups without settings of their own: their choices set those of others."""

Config = TypeVar("Config")


def main(
    description: str,
    config_name: str,
    config_type: type[Config],
    run: Callable[[Config, argparse.Namespace], None],
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Run a job: parse, compose, check, call `run(config, arguments)`, exit.

    Exit codes: 0 done; 1 too many rows failed, or a crash; 2 something its owner has to mend;
    130 Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=settings_help(config_type, CONFIGS),
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        help="settings as key=value (finetune.batch_size=128), or a group's choice (data=cub)",
    )
    parser.add_argument(
        "--config-dir", type=Path, help="a folder of your own with groups and experiments"
    )
    parser.add_argument("--show-config", action="store_true", help="print the config and stop")
    add_arguments(parser)
    arguments = parser.parse_intermixed_args()
    with exit_codes():
        values = compose_values(config_name, arguments.overrides, arguments.config_dir)
        config = build(config_type, values)
        if arguments.show_config:
            print(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True), end="")
            return
        run(config, arguments)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Whatever ends a job in here ends it with its exit code, and a message for people."""
    try:
        yield
    except LeaseLostError as error:
        _print_problems(error)
        _exit_at_once(EXIT_USER_ERROR)
    except UserError as error:
        _exit_with_problems(error)
    except TooManyFailedRowsError as error:
        print(f"\n{printable(str(error))}", file=sys.stderr)
        sys.exit(EXIT_FAILED_ROWS)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from what is stored.", file=sys.stderr)
        _exit_at_once(EXIT_INTERRUPTED)
    except Exception as error:
        if problem := full_disk(error):
            _exit_with_problems(problem)
        raise


def _exit_at_once(code: int) -> NoReturn:
    """Unlike sys.exit, which waits for the threads of the stages that were running."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_problems(error: UserError) -> NoReturn:
    _print_problems(error)
    sys.exit(EXIT_USER_ERROR)


def _print_problems(error: UserError) -> None:
    number = len(error.problems)
    print(f"\n{number} problem{'s' if number > 1 else ''}:", file=sys.stderr)
    for problem in error.problems:
        print(f"  - {printable(problem)}", file=sys.stderr)


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


def chosen_groups(
    config_name: str, overrides: list[str], config_dir: Path | None = None
) -> dict[str, str]:
    """{group: choice} that a config is composed from, but for what only changes others."""
    composed = _composed(config_name, overrides, config_dir, with_hydra=True)
    known = _choices(_folders(config_dir)).keys() - CHANGING_OTHERS
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
    groups = _choices(_folders(config_dir)).keys() - CHANGING_OTHERS
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
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise UserError(f"The command line cannot be read: {_first_line(error)}.") from error
    choices = _choices(folders)
    problems = _unknown_choices(parsed, choices)
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


def _unknown_choices(overrides: list[Override], choices: dict[str, set[str]]) -> list[str]:
    return [
        f"{override.input_line}: there is no such choice. There are: "
        f"{', '.join(sorted(choices[override.key_or_group]))}."
        for override in overrides
        if override.key_or_group in choices
        and isinstance(override.value(), str)
        and override.value() not in choices[override.key_or_group]
    ]


def _with_new_keys(override: Override, choices: dict[str, set[str]]) -> str:
    """The override such that its key need not be there, unless it chooses from a group."""
    line = str(override.input_line)
    if override.key_or_group in choices or override.is_delete():
        return line
    return f"++{line.lstrip('+')}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
