"""`gist-ray COMMAND`: finds the command, and runs it."""

import difflib
import sys
from collections.abc import Sequence

from gist_ray import __version__
from gist_ray.commands import (
    audit,
    clean,
    completion,
    doctor,
    export,
    pack,
    predict,
    pretrain,
    retry_failed,
    run,
    status,
    sweep,
)
from gist_ray.commands.command import Command, run_command
from gist_ray.commands.exits import EXIT_USER_ERROR

HEAD = """\
usage: gist-ray COMMAND [KEY=VALUE ...] [options]

From labelled images without captions to an accurate fine-grained classifier.

  labelled images ──────────────────► embed ──┐
                                              ├─► match ─► fine-tune ─► measure ─► report.html
  class names ─► LLM ─► texts ─► embed ───────┘                            └─► export ─► predict

  gist-ray run            runs all of it on a small embedded set, without a GPU
  gist-ray doctor         says whether this machine can
"""

FOOT = """\
`gist-ray COMMAND --help` shows examples, options and settings; `gist-ray --version` the version.
"""


def all_commands() -> list[Command]:
    """The commands in the order in which --help lists them."""
    work = [run, sweep, audit, export, predict, pack, pretrain]
    care = [status, retry_failed, clean, doctor]
    return [*(module.COMMAND for module in (*work, *care)), completion.command_of(all_commands)]


def main(words: Sequence[str] | None = None) -> None:
    """Run one command. Exits with the command's code, or 2 if there is no such command.

    words: what stands after the program's name; None takes it from the command line.
    """
    name, *rest = list(sys.argv[1:] if words is None else words) or [""]
    commands = {command.name: command for command in all_commands()}
    if name in commands:
        run_command(commands[name], rest)
    elif name in ("--version", "-V"):
        print(f"gist-ray {__version__}")
    elif name in ("--help", "-h", "help"):
        print(overview(), end="")
    elif not name:
        print(overview(), end="", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    else:
        print(_unknown(name, list(commands)), file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def overview() -> str:
    """The text of `gist-ray --help`."""
    lines = [f"  {command.name:<13} {command.summary}" for command in all_commands()]
    return "\n".join([HEAD, "commands:", *lines, "", FOOT])


def _unknown(name: str, known: list[str]) -> str:
    if "=" in name:
        return f"gist-ray {name}: the command comes first. Did you mean gist-ray run {name}?"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    fix = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
    return f"gist-ray {name}: there is no such command. {fix}"
