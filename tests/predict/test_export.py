"""From a finished run to a classifier, without a cluster."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.operate.clean import find_garbage, remove
from gist_ray.operate.jobs import read_job
from gist_ray.operate.status import read_status
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.export import export_job
from gist_ray.predict.folder import load_classifier
from gist_ray.run.run_job import run_job
from gist_ray.run.runs import run_names
from gist_ray.store import storage
from tests.predict.finished import configured, finish_run
from tests.predict.made import without_cluster


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cluster(monkeypatch)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a finished run."""
    return finish_run(configured(tmp_path_factory.mktemp("runs") / "root"))


@pytest.fixture
def run_folder(source: str, tmp_path: Path) -> str:
    """A copy of it in a root of its own."""
    shutil.copytree(Path(source).parents[1], tmp_path / "root")
    return f"{tmp_path}/root/runs/source"


def export(run_folder: str, out: Path, **more: Any) -> dict[str, Any]:
    """Exports; returns what the classifier says of itself."""
    run_job(export_job(ExportConfig(run=run_folder, out=str(out), **more)))
    return load_classifier(str(out)).about


def test_the_best_method_on_val_is_calibrated_and_stands_in_a_record(
    run_folder: str, tmp_path: Path
) -> None:
    about = export(run_folder, tmp_path / "leaves")
    assert about["val"]["num_images"] > 0
    assert about["val"]["log_loss"] <= about["val"]["log_loss_uncalibrated"] + 1e-5
    # its vectors have nothing to do with the texts, so the probe knows them best
    assert (about["features"], about["method"]) == ("frozen", "linear_probe")
    assert (about["shots"], about["seed"]) == (2, 1)
    root = str(tmp_path / "root")
    (name,) = set(run_names(root)) - {"source"}
    assert name.startswith("export-leaves-")
    status = read_status(root, name)
    assert status is not None
    assert status.state == "finished"
    assert [stage.state for stage in status.stages if stage.group == "export"] == ["stored"]
    with pytest.raises(UserError, match="is a run of export"):
        read_job(root, name)


def test_an_export_with_other_settings_writes_the_folder_anew_and_back_again(
    run_folder: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        for method, target in (("zero_shot_texts", 0.5), ("linear_probe", 0.9)):
            about = export(run_folder, out, method=method, target_accuracy=target)
            assert (about["method"], about["val"]["target_accuracy"]) == (method, target)


def test_a_folder_that_was_deleted_or_changed_is_written_again(
    run_folder: str, tmp_path: Path
) -> None:
    about = export(run_folder, tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    assert export(run_folder, tmp_path / "out") == about
    file = tmp_path / "out" / "classifier.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "temperature": 99.0}))
    export(run_folder, tmp_path / "out")
    assert load_classifier(str(tmp_path / "out")).temperature < 99


def test_clean_keeps_what_an_export_was_made_from(run_folder: str, tmp_path: Path) -> None:
    out, root = tmp_path / "out", str(tmp_path / "root")
    about = export(run_folder, out)
    (name,) = set(run_names(root)) - {"source"}
    used = {(s["kind"], s["fingerprint"]) for s in _plan(root, name)["stages"]}
    remove(root, find_garbage(root, forget="source"))
    for kind, key in used:
        assert storage.exists(f"{root}/artifacts/{kind}/{key}/artifact.json")
    assert export(run_folder, out) == about


def _plan(root: str, name: str) -> dict[str, Any]:
    plan: dict[str, Any] = storage.read_json(f"{root}/runs/{name}/plan.json")
    return plan


def test_the_draw_that_is_asked_for_calibrates_methods_that_no_draw_changes(
    run_folder: str, tmp_path: Path
) -> None:
    about = export(run_folder, tmp_path / "out", method="zero_shot_texts", seed=2)
    assert about["seed"] == 2
    root = f"{tmp_path}/root"
    (record,) = set(run_names(root)) - {"source"}
    names = [stage["name"] for stage in _plan(root, record)["stages"]]
    assert "sample 2-shot seed 2" in names
    assert "sample 2-shot seed 1" not in names


def test_a_run_of_methods_that_see_no_training_image_can_be_exported(tmp_path: Path) -> None:
    config = configured(tmp_path / "root", "methods=[zero_shot_texts]")
    about = export(finish_run(config), tmp_path / "out")
    assert about["val"]["num_images"] > 0


def test_what_the_run_does_not_have_is_said(run_folder: str, tmp_path: Path) -> None:
    config = ExportConfig(run=run_folder, out=str(tmp_path / "out"))
    with pytest.raises(UserError, match="has no features=gist shots=2 seed=1"):
        export_job(replace(config, features="gist"))
    with pytest.raises(UserError, match="method=sgd_probe: is none of the run's"):
        export_job(replace(config, method="sgd_probe"))
    with pytest.raises(UserError, match="is no folder of a run"):
        export_job(replace(config, run=str(tmp_path)))
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_not_finished_is_not_finished_by_its_export(
    run_folder: str, tmp_path: Path
) -> None:
    (embeddings,) = (tmp_path / "root" / "artifacts" / "image_embeddings").iterdir()
    (embeddings / "artifact.json").unlink()
    with pytest.raises(UserError, match="embed images frozen: is not stored"):
        export_job(ExportConfig(run=run_folder, out=str(tmp_path / "out")))


def test_a_folder_that_cannot_be_written_to_is_said_before_any_work(
    run_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"out=.*is no folder that this user may write to"):
        export_job(ExportConfig(run=run_folder, out=f"{tmp_path}/file/out"))
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(UserError, match="out=leaves: in a submitted job"):
        export_job(ExportConfig(run=run_folder, out="leaves"))
