import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.schema import ERRORS, table
from gist_ray.settings import commandline
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig


def run_job(monkeypatch: pytest.MonkeyPatch, *words: str) -> RunConfig:
    """The config that a job with these words on its command line gets."""
    seen: list[RunConfig] = []
    monkeypatch.setattr(sys, "argv", ["job", *words])
    commandline.main("A job.", "config", RunConfig, lambda config, arguments: seen.append(config))
    return seen[0]


def problems_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_job(monkeypatch, *words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_the_default_and_an_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_job(monkeypatch).study.shots == [5]
    study = run_job(monkeypatch, "experiment=butterflies", "study.seeds=[7,8]").study
    assert (study.shots, study.seeds) == ([1, 3, 5], [7, 8])


def test_ones_own_folder_of_configs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "my configs"
    (folder / "data").mkdir(parents=True)
    (folder / "prompts").mkdir()
    (folder / "data" / "moths.yaml").write_text(f"layout: image_folder\npath: {tmp_path}\n")
    prompts = {"prompts": [{"id": "p", "template": "Describe {{ name }}."}]}
    (folder / "prompts" / "moths.yaml").write_text(yaml.safe_dump(prompts))
    own = ("--config-dir", str(folder))
    config = run_job(monkeypatch, *own, "data=moths", "prompts=moths", "llm=qwen2.5-7b")
    assert config.data.layout == "image_folder"
    assert config.prompts.prompts[0].id == "p"


def test_problems_of_all_parts_come_together_and_exit_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("dta=cub", "matching.kk=1", "study.shots=[0]", "texts.notes=/no/notes.json")
    said = problems_of(monkeypatch, capsys, *words)
    assert "4 problems:" in said
    assert "  - dta: there is no such setting. Did you mean data?" in said
    assert "  - matching.kk: there is no such setting. Did you mean k?" in said
    assert "  - study.shots.0=0: Input should be greater" in said
    assert "  - texts.notes=/no/notes.json: there is no such file or folder." in said


def test_unknown_choices_list_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = problems_of(monkeypatch, capsys, "embed=tpu", "clip=huge", "k=1")
    assert "embed=tpu: there is no such choice. There are: cpu, gpu." in said
    assert "clip=huge: there is no such choice." in said


def test_what_cannot_be_read_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot be read" in problems_of(monkeypatch, capsys, "data=[")
    assert "there is no such folder" in problems_of(monkeypatch, capsys, "--config-dir", "/none")
    said = problems_of(monkeypatch, capsys, "data.path=${nowhere}")
    assert "does not compose" in said


def test_too_many_failed_rows_exit_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    writer = ArtifactStore(str(tmp_path)).writer("embeddings", "embed", {}, {})
    error = {"id": "a", "uri": "", "stage": "embed", "kind": "corrupt", "message": ""}
    writer.add_errors(table([error], ERRORS))
    artifact = writer.publish(0)

    def fail(config: RunConfig, arguments: argparse.Namespace) -> None:
        raise TooManyFailedRowsError("embed images", artifact, 0.01)

    monkeypatch.setattr(sys, "argv", ["job"])
    with pytest.raises(SystemExit) as stopped:
        commandline.main("A job.", "config", RunConfig, fail)
    assert stopped.value.code == 1
    assert "embed images: 1 of 1 rows failed (corrupt: 1); 1.0% are" in capsys.readouterr().err


def test_help_names_groups_and_settings_with_their_meaning() -> None:
    job = Path(commandline.CONFIGS).parent / "jobs" / "pipeline.py"
    environment = {**os.environ, "COLUMNS": "100"}
    said = subprocess.run(
        [sys.executable, job, "--help"], capture_output=True, text=True, env=environment, check=True
    ).stdout
    assert "  embed: cpu, gpu\n" in said
    assert "  matching.k=3\n      How many texts an image keeps" in said
    assert max(len(line) for line in said.splitlines()) <= 100


def test_ctrl_c_ends_without_a_trace_though_a_thread_still_works() -> None:
    program = """
import concurrent.futures, sys, time
from gist_ray.settings.commandline import main
from gist_ray.study.config import RunConfig

def run(config, arguments):
    concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 600)
    raise KeyboardInterrupt

main("A job.", "config", RunConfig, run)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 130
    assert "goes on from what is stored" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("key", ["data", "data.path", "nosuch", "root"])
def test_credentials_on_the_command_line_are_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = problems_of(monkeypatch, capsys, f"{key}='s3://AKIA123:geheim@bucket/my data'")
    assert f"{key}: holds credentials" in said
    assert "geheim" not in said
    assert "AKIA" not in said
