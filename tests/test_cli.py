"""Which command runs, and what the program says of itself without loading what runs need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gist_ray import __version__
from gist_ray.cli import all_commands, main, overview
from gist_ray.commands.command import CommandParser
from gist_ray.schema import TRANSIENT_KINDS

NAMES = [command.name for command in all_commands()]
HEAVY = {"torch", "ray", "pandas", "open_clip", "transformers", "s3fs", "aiohttp", "hydra"}


def complained(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_overview_lists_every_command_within_the_width_of_a_page() -> None:
    said = overview()
    for name in NAMES:
        assert f"\n  {name} " in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_no_mistake(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([word])
    assert capsys.readouterr().out == overview()


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"gist-ray {__version__}\n"


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean status?" in complained(capsys, "staus")
    assert "Did you mean retry-failed?" in complained(capsys, "retry_failed")
    assert "There are: run, sweep" in complained(capsys, "xyz")
    assert "Did you mean gist-ray run data=cub?" in complained(capsys, "data=cub")
    assert "commands:" in complained(capsys)


@pytest.mark.parametrize("name", NAMES)
def test_each_help_begins_with_its_summary_and_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    command = next(command for command in all_commands() if command.name == name)
    assert said.startswith(f"{command.summary}.\n")
    assert said.index("examples:") < said.index("usage: gist-ray")
    for line in command.examples.strip().splitlines():
        assert f"  {line}\n" in said


def test_the_kinds_that_are_tried_again_stand_in_the_help() -> None:
    command = next(command for command in all_commands() if command.name == "retry-failed")
    said = " ".join(CommandParser(command).format_help().split())
    assert ", ".join(TRANSIENT_KINDS) in said


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["status", "--help"]])
def test_these_load_the_standard_library_alone(words: list[str]) -> None:
    assert not {"numpy", "pydantic", "yaml", "rich", *HEAVY} & loaded_by(*words)


@pytest.mark.parametrize("name", ["run", "sweep", "audit", "export", "predict", "pack", "pretrain"])
def test_the_help_of_settings_loads_nothing_heavy(name: str) -> None:
    assert not HEAVY & loaded_by(name, "--help")


def loaded_by(*words: str) -> set[str]:
    """The modules that a process with this command line has loaded at its end."""
    program = f"""
import contextlib, io, sys
from gist_ray.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main({list(words)!r})
print(*sys.modules)
"""
    return set(_python("-c", program).split())


def _python(*words: str) -> str:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, *words], env=here, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_module_is_the_command() -> None:
    assert _python("-m", "gist_ray", "--version") == f"gist-ray {__version__}\n"


def test_every_job_is_a_command_by_its_name() -> None:
    jobs = {path.stem for path in (Path(__file__).parents[1] / "jobs").glob("*.py")}
    assert jobs <= {name.replace("-", "_") for name in NAMES}
