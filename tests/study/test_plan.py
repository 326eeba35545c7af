from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.run.run_job import run_job
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.job import plan, study_job

TINY = ["data.num_genera=1", "data.train_per_species=2", "study.seeds=[1]"]


def configured(*overrides: str) -> RunConfig:
    config: RunConfig = build(RunConfig, compose_values("config", list(overrides)))
    return config


def problems(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> list[str]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = configured(*overrides)
    with pytest.raises(UserError) as raised:
        plan(config, ArtifactStore(config.root))
    return raised.value.problems


def test_problems_of_all_kinds_come_together(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    found = problems(
        monkeypatch,
        f"root={tmp_path}/file",
        "data=image_folder",
        f"data.path={tmp_path}/none",
        "prompts.caption_prefix='{{ nmae }}'",
        "clip.model=ViT-Z",
        "llm.model=./none",
        "embed.cpus_per_worker=5000",
        "finetune.gpus_per_worker=64",
    )
    starts = [
        "prompts.caption_prefix: ",
        f"data.path={tmp_path}/none: there is no such file or folder.",
        f"root={tmp_path}/file: {tmp_path}/file is no folder that this user may write to.",
        "clip.model=ViT-Z: not one of open_clip's",
        "llm.model: there is no folder ./none.",
        "embed.cpus_per_worker asks for 5000 CPUs and this machine gives Ray ",
        "finetune.num_workers x finetune.gpus_per_worker asks for 64 GPUs",
    ]
    assert len(found) == len(starts)
    for problem, start in zip(found, starts, strict=True):
        assert problem.startswith(start)


def test_a_broken_data_set_is_said_beside_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = problems(
        monkeypatch, "data=image_folder", f"data.path={tmp_path}", "embed.cpus_per_worker=5000"
    )
    assert len(found) == 2
    assert str(tmp_path) in found[1]


def test_nothing_is_refused_where_a_cluster_may_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://cluster:10001")
    config = configured(*TINY, f"root={tmp_path}", "embed.cpus_per_worker=5000")
    assert plan(config, ArtifactStore(config.root)).stages


def test_the_plan_shows_stages_and_sizes_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(*TINY, f"root={tmp_path}/root")
    run_job(study_job(config), plan_only=True, until="clean")
    said = capsys.readouterr().out
    assert "168 images (8 train, 40 val, 120 test) of 4 classes" in said
    assert "generate texts" in said
    assert "finetune" not in said
    assert not (tmp_path / "root").exists()


def test_until_an_unknown_stage_lists_the_stages(tmp_path: Path) -> None:
    job = study_job(configured(*TINY, f"root={tmp_path}"))
    with pytest.raises(UserError, match=r"--until fly: no stage begins so\. There are: .*match"):
        run_job(job, plan_only=True, until="fly")
