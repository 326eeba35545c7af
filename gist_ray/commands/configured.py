"""Commands that are set by a config: composed by Hydra from KEY=VALUE, checked by pydantic."""

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gist_ray.commands.command import Command, no_arguments


@dataclass(frozen=True)
class Work:
    """The config and the function of a configured command."""

    config_name: str
    """The file in configs/ that Hydra starts from, without its suffix."""

    config_type: Callable[[], type]
    """Imports and returns the settings class."""

    run: Callable[[Any, argparse.Namespace], None]
    """Called with the checked settings and the other words of the command line."""

    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments


def configured(name: str, summary: str, work: Work, *, examples: str, about: str = "") -> Command:
    """Returns the command with the options that all configured commands share."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        add_config_arguments(parser)
        work.add_arguments(parser)

    def settings() -> str:
        from gist_ray.settings.configs import CONFIGS
        from gist_ray.settings.help import settings_help

        return settings_help(work.config_type(), CONFIGS)

    return Command(
        name=name,
        summary=summary,
        examples=examples,
        run=lambda arguments: _run(work, arguments),
        add_arguments=add_arguments,
        about=about,
        settings=settings,
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="settings (finetune.batch_size=128), or a group's choice (data=cub)",
    )
    parser.add_argument(
        "--config-dir", type=Path, help="a folder of your own with groups and experiments"
    )
    parser.add_argument("--show-config", action="store_true", help="print the config and stop")


def add_plan_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", action="store_true", help="check everything, show the plan, stop")


def _run(work: Work, arguments: argparse.Namespace) -> None:
    import yaml

    from gist_ray.settings.check import build
    from gist_ray.settings.commandline import compose_values

    values = compose_values(work.config_name, arguments.overrides, arguments.config_dir)
    config = build(work.config_type(), values)
    if arguments.show_config:
        print(yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True), end="")
    else:
        work.run(config, arguments)
