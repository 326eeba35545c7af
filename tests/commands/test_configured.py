"""What a command gets from the words after its name, and what it says of wrong ones."""

from pathlib import Path

import pytest
import yaml

from gist_ray.commands.command import CommandParser, run_command
from gist_ray.commands.configured import Work, configured
from gist_ray.study.config import RunConfig


def run_job(*words: str) -> RunConfig:
    """The config that a command with these words gets."""
    seen: list[RunConfig] = []
    work = Work("config", lambda: RunConfig, lambda config, arguments: seen.append(config))
    run_command(configured("job", "A job", work, examples="gist-ray job"), words)
    return seen[0]


def problems_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_job(*words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_default_and_an_experiment() -> None:
    assert run_job().study.shots == [5]
    study = run_job("experiment=butterflies", "study.seeds=[7,8]").study
    assert (study.shots, study.seeds) == ([1, 3, 5], [7, 8])


def test_ones_own_folder_of_configs(tmp_path: Path) -> None:
    folder = tmp_path / "my configs"
    (folder / "data").mkdir(parents=True)
    (folder / "prompts").mkdir()
    (folder / "data" / "moths.yaml").write_text(f"layout: image_folder\npath: {tmp_path}\n")
    prompts = {"prompts": [{"id": "p", "template": "Describe {{ name }}."}]}
    (folder / "prompts" / "moths.yaml").write_text(yaml.safe_dump(prompts))
    own = ("--config-dir", str(folder))
    config = run_job(*own, "data=moths", "prompts=moths", "llm=qwen2.5-7b")
    assert config.data.layout == "image_folder"
    assert config.prompts.prompts[0].id == "p"


def test_problems_of_all_parts_come_together_and_exit_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("dta=cub", "matching.kk=1", "study.shots=[0]", "texts.notes=/no/notes.json")
    said = problems_of(capsys, *words)
    assert "4 problems:" in said
    assert "  - dta: there is no such setting. Did you mean data?" in said
    assert "  - matching.kk: there is no such setting. Did you mean k?" in said
    assert "  - study.shots.0=0: Input should be greater" in said
    assert "  - texts.notes=/no/notes.json: there is no such file or folder." in said


def test_unknown_choices_list_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    said = problems_of(capsys, "embed=tpu", "clip=huge", "methods=[]", "k=1")
    assert "methods=[]: nothing is chosen. There are: ccli, ccli_val, clap, " in said
    assert "embed=tpu: there is no such choice. There are: cpu, gpu." in said
    assert "clip=huge: there is no such choice." in said


def test_what_cannot_be_read_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be read" in problems_of(capsys, "data=[")
    assert "there is no such folder" in problems_of(capsys, "--config-dir", "/none")
    said = problems_of(capsys, "data.path=${nowhere}")
    assert "does not compose" in said


@pytest.mark.parametrize("key", ["data", "data.path", "nosuch", "root"])
def test_credentials_on_the_command_line_are_not_shown(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = problems_of(capsys, f"{key}='s3://AKIA123:geheim@bucket/my data'")
    assert f"{key}: holds credentials" in said
    assert "geheim" not in said
    assert "AKIA" not in said


def test_the_config_is_shown_and_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    work = Work("config", lambda: RunConfig, lambda config, arguments: pytest.fail("was called"))
    command = configured("job", "A job", work, examples="gist-ray job")
    run_command(command, ["matching.k=2", "--show-config"])
    assert yaml.safe_load(capsys.readouterr().out)["matching"]["k"] == 2


def test_help_shows_examples_then_options_then_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from gist_ray.commands.run import COMMAND

    monkeypatch.setenv("COLUMNS", "100")
    said = CommandParser(COMMAND).format_help()
    places = [said.index(part) for part in ("examples:", "usage:", "options:", "settings (KEY=")]
    assert places == sorted(places)
    assert "  embed: cpu, gpu\n" in said
    assert "  matching.k=3\n      How many texts an image keeps" in said
    assert max(len(line) for line in said.splitlines()) <= 100
