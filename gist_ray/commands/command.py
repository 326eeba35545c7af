"""A command of `gist-ray`: its arguments, its --help and its execution."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gist_ray.commands.exits import exit_codes


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds no arguments."""


@dataclass(frozen=True)
class Command:
    """A command. Modules of commands import what a command needs inside `run` and `settings`, so
    that --help does not wait for it."""

    name: str

    summary: str
    """One line for the list of commands, without a full stop."""

    examples: str
    """Command lines, one a line; they stand first in --help."""

    run: Callable[[argparse.Namespace], None]
    """Does the work. Raises UserError, TooManyFailedRowsError or SystemExit."""

    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments

    about: str = ""
    """Paragraphs of --help below the summary."""

    settings: Callable[[], str] | None = None
    """Returns the text of --help below the options, for a command that takes KEY=VALUE."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose --help shows the examples first, then the options, then the settings."""

    def __init__(self, command: Command) -> None:
        super().__init__(prog=f"gist-ray {command.name}", description=command.summary)
        self._command = command
        command.add_arguments(self)

    def format_help(self) -> str:
        command = self._command
        parts = [f"{command.summary}.", command.about, _examples(command.examples)]
        parts += [self.format_usage(), self._options()]
        if command.settings:
            parts.append(command.settings())
        return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    def _options(self) -> str:
        formatter = self._get_formatter()
        for group in self._action_groups:
            formatter.start_section(group.title)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()
        return formatter.format_help()


def _examples(lines: str) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in lines.strip().splitlines())])


def run_command(command: Command, words: Sequence[str]) -> None:
    """Parses the words after the command's name and runs it; exits with its code if it fails."""
    arguments = CommandParser(command).parse_intermixed_args(words)
    with exit_codes():
        command.run(arguments)
