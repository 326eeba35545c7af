"""The script for bash, asked in bash as it is when Tab is pressed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from gist_ray.cli import all_commands
from gist_ray.commands.completion import script

ASK = """
source "$0"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_gist_ray
printf "%s\\n" "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("completion") / "gist-ray.bash"
    path.write_text(script(all_commands(), "bash"))
    return path


# Bash hands over = as a word of its own.
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["re"], ["retry-failed"]),
        (["sweep", "--p"], ["--plan"]),
        (["run", "d"], ["data="]),
        (["run", "embed", "="], ["cpu", "gpu"]),
        (["run", "--plan", "data", "=", "cub", "prompts", "=", "bi"], ["birds"]),
        (["completion", ""], ["bash", "zsh"]),
    ],
)
def test_bash_completes(words: list[str], expected: list[str], bash_script: Path) -> None:
    command = ["bash", "-c", ASK, str(bash_script), "gist-ray", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stderr == ""
    assert said.stdout.split() == expected


def test_zsh_gets_all_commands_and_choices() -> None:
    said = script(all_commands(), "zsh")
    assert said.startswith("#compdef gist-ray")
    for command in all_commands():
        assert f"    {command.name}:" in said
    assert "      embed) compadd -- cpu gpu ;;" in said
