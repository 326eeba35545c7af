from pathlib import Path

import pytest
from gist_ray.study.shared_folders import shared_folders

from gist_ray.run.cluster import relative_in_job
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig


def config_of(*words: str) -> RunConfig:
    return build(RunConfig, compose_values("config", list(words)))


def test_a_relative_folder_is_refused_in_a_submitted_job_and_nowhere_else(monkeypatch):
    folders = {"root": "results", "data.path": "/data", "clip.model": "s3://bucket/model"}
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert relative_in_job(folders) == []
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    (problem,) = relative_in_job(folders)
    assert problem.startswith("root=results: in a submitted job")


def test_the_root_is_all_that_the_embedded_set_shares():
    assert shared_folders(config_of()) == {"root": "results"}


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
    assert shared_folders(config) == ({"data.path": str(data)} if is_folder else {}) | shared
