import socket
from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.run.cluster import connect, relative_in_job
from gist_ray.run.job import folders_of as folders_of_job
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig
from gist_ray.study.job import folders_of, study_job


def config_of(*words: str) -> RunConfig:
    config: RunConfig = build(RunConfig, compose_values("config", list(words)))
    return config


def test_a_relative_folder_is_refused_in_a_submitted_job_and_nowhere_else(monkeypatch):
    folders = {"root": "results", "data.path": "/data", "clip.model": "s3://bucket/model"}
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert relative_in_job(folders) == []
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    (problem,) = relative_in_job(folders)
    assert problem.startswith("root=results: in a submitted job")


def test_the_root_is_all_that_the_embedded_set_shares():
    assert folders_of(config_of()) == {"root": "results"}


@pytest.mark.parametrize("is_folder", [True, False])
def test_folders_that_workers_read_are_shared_and_tables_are_not(tmp_path: Path, is_folder: bool):
    data = tmp_path / "data"
    if is_folder:
        data.mkdir()
    else:
        data.write_text("image,class_name")
    model = tmp_path / "model"
    model.mkdir()
    words = ["data=image_folder" if is_folder else "data=manifest", f"data.path={data}"]
    config = config_of(*words, f"clip.model=local-dir:{model}", f"llm.model={model}")
    shared = {"root": "results", "clip.model": str(model), "llm.model": str(model)}
    assert folders_of(config) == ({"data.path": str(data)} if is_folder else {}) | shared


def test_the_stages_of_a_run_name_the_folders_that_its_config_does(tmp_path: Path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    data = tmp_path / "data"
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"")
    words = ["data=image_folder", f"data.path={data}", "prompts=generic"]
    words += ["finetune.select_by=last"]
    words += [f"llm.model={model}", f"root={tmp_path}/root"]
    for more in ([], ["+texts.shorten={}"]):
        config = config_of(*words, *more)
        found = folders_of_job(study_job(config))
        assert found == folders_of(config)
        assert found.keys() == {"root", "data.path", "llm.model"}


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_at_which_nothing_answers_is_said_at_once(monkeypatch, address):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", address.format(port))
    with pytest.raises(UserError, match=r"RAY_ADDRESS=.*: no cluster answers there .*refused"):
        connect()


def test_a_start_that_took_too_long_is_tried_again(monkeypatch):
    attempts = []

    def slow(**settings: object) -> None:
        attempts.append(settings["address"])
        if len(attempts) < 3:
            raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("ray.init", slow)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4.0})
    assert connect() == 4
    assert attempts == ["local"] * 3


def test_another_failure_of_the_start_is_not_tried_again(monkeypatch):
    attempts = []

    def broken(**settings: object) -> None:
        attempts.append(settings)
        raise RuntimeError("no space for the object store")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", broken)
    with pytest.raises(RuntimeError, match="no space"):
        connect()
    assert len(attempts) == 1


def test_sockets_below_a_long_temporary_folder_lie_elsewhere(monkeypatch, tmp_path):
    started = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", lambda **settings: started.append(settings))
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    connect()
    assert "_temp_dir" not in started[0]
    monkeypatch.setattr("tempfile.tempdir", f"{tmp_path}/{'long' * 20}")
    connect()
    assert started[1]["_temp_dir"] == "/tmp/ray"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="Set RAY_TMPDIR to a short path"):
        connect()
