"""`gist-ray completion`: a script for the shell that completes commands, options and groups."""

import argparse
from collections.abc import Callable, Sequence

from gist_ray.commands.command import Command, CommandParser

SHELLS = ("bash", "zsh")

BASH_GROUPS = """\
# Completes GROUP= and its choices, and file names after any other KEY=. For bash, = is a word.
_gist_ray_groups() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" group=""
  if [[ "$word" == "=" ]]; then group="$before"; word=""
  elif [[ "$before" == "=" ]]; then group="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
  case "$group" in
    "") compgen -W "{names}" -- "$word" ;;
{cases}
    *) compgen -f -- "$word" ;;
  esac
}}
"""

BASH_NO_SPACE = """
# No space after GROUP=. What shtab calls for words runs in a subshell, which cannot say so.
_gist_ray() {
  _shtab_gist_ray "$@"
  if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace 2> /dev/null; fi
  return 0
}
complete -o bashdefault -F _gist_ray gist-ray
"""

ZSH_GROUPS = """\
# Completes GROUP= and its choices.
_gist_ray_groups() {{
  if compset -P '*='; then
    case "${{IPREFIX%=}}" in
{cases}
      *) _files ;;
    esac
  else
    compadd -S '' -- {names}
  fi
}}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def command_of(commands: Callable[[], Sequence[Command]]) -> Command:
    """Returns the command `completion`.

    commands: returns all commands of `gist-ray`, this one included.
    """
    return Command(
        name="completion",
        summary="Print a script that completes commands, options and groups in bash or zsh",
        examples="""
source <(gist-ray completion bash)                    # a line for ~/.bashrc
gist-ray completion zsh > ~/.zfunc/_gist-ray          # a folder of fpath
""",
        run=lambda arguments: print(script(commands(), arguments.shell), end=""),
        add_arguments=add_arguments,
    )


def script(commands: Sequence[Command], shell: str) -> str:
    """Returns the completion script for `shell` (bash or zsh)."""
    import shtab

    from gist_ray.settings.commandline import group_choices

    root = argparse.ArgumentParser(prog="gist-ray")
    root.add_argument("--version", action="store_true", help="print the version")
    names = root.add_subparsers(dest="command")
    for command in commands:
        source = CommandParser(command)
        parser = names.add_parser(
            command.name, help=command.summary, parents=[source], add_help=False
        )
        for action in parser._actions:
            if action.dest == "overrides":
                action.complete = dict.fromkeys(SHELLS, "_gist_ray_groups")  # type: ignore[attr-defined]
            elif action.dest in ("config_dir", "root"):
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    choices = {group: sorted(names) for group, names in sorted(group_choices().items())}
    preamble, end = (_bash(choices), BASH_NO_SPACE) if shell == "bash" else (_zsh(choices), "")
    return shtab.complete(root, shell=shell, preamble=preamble) + "\n" + end


def _bash(choices: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f'    {group}) compgen -W "{" ".join(names)}" -- "$word" ;;'
        for group, names in choices.items()
    )
    return BASH_GROUPS.format(names=" ".join(f"{group}=" for group in choices), cases=cases)


def _zsh(choices: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f"      {group}) compadd -- {' '.join(names)} ;;" for group, names in choices.items()
    )
    return ZSH_GROUPS.format(names=" ".join(f"{group}=" for group in choices), cases=cases)
