"""What all jobs share on the command line: compose, check, explain, exit with the truth.

Hydra composes the groups of configs/; from there on there are only checked dataclasses.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gist_ray.config import build
from gist_ray.errors import UserError
from gist_ray.flow import TooManyFailedRowsError
from gist_ray.settings_help import settings_help

EXIT_FAILED_ROWS = 1
EXIT_USER_ERROR = 2

CONFIGS = Path(__file__).parents[1] / "configs"

Config = TypeVar("Config")


def main(
    description: str,
    config_name: str,
    config_type: type[Config],
    run: Callable[[Config, argparse.Namespace], None],
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> None:
    """Run a job: parse, compose, check, call `run(config, arguments)`, exit.

    Exit codes: 0 done; 1 too many rows failed, or a crash; 2 something its owner has to mend.
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
    arguments = parser.parse_args()
    try:
        values = compose_values(config_name, arguments.overrides, arguments.config_dir)
        config = build(config_type, values)
        if arguments.show_config:
            print(OmegaConf.to_yaml(OmegaConf.create(values)), end="")
            return
        run(config, arguments)
    except UserError as error:
        number = len(error.problems)
        print(f"\n{number} problem{'s' if number > 1 else ''}:", file=sys.stderr)
        for problem in error.problems:
            print(f"  - {problem}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except TooManyFailedRowsError as error:
        print(f"\n{error}", file=sys.stderr)
        sys.exit(EXIT_FAILED_ROWS)


def compose_values(
    config_name: str, overrides: list[str], config_dir: Path | None = None
) -> dict[str, Any]:
    """The composed config as plain values. Raises UserError for what Hydra cannot read.

    A key that Hydra does not know is let through, so that all of them are reported together.
    """
    if config_dir is not None:
        overrides = [*overrides, f"hydra.searchpath=[file://{config_dir.resolve()}]"]
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            groups = _groups(config_dir)
            lenient = [
                line if _is_choice(override.key_or_group, groups) or override.is_delete() else f"++{line.lstrip('+')}"
                for line, override in zip(overrides, parsed, strict=True)
            ]
            composed = compose(config_name, overrides=lenient)
            values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(f"The config does not compose: {error}") from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _groups(config_dir: Path | None) -> set[str]:
    folders = [CONFIGS, *([config_dir] if config_dir else [])]
    return {group.name for folder in folders for group in folder.iterdir() if group.is_dir()}


def _is_choice(key: str, groups: set[str]) -> bool:
    return key in groups or key.startswith("hydra.") or "@" in key
