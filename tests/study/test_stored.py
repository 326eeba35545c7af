"""A finished run whose data set and texts are gone, as on another machine."""

from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.operate.retry_run import retry_run
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.export import export_job
from gist_ray.predict.folder import load_classifier
from gist_ray.run.run_job import run_job
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.stored import read_run, stored_graph
from tests.predict.made import without_cluster
from tests.study.test_no_test_set import configured, finish


def test_it_is_exported_and_looked_at_from_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_cluster(monkeypatch)
    (tmp_path / "notes.json").write_text("{}")
    folder = finish(configured(tmp_path, f"texts.notes={tmp_path}/notes.json"))
    for name in ("table.csv", "texts.json", "notes.json"):
        (tmp_path / name).unlink()
    moved = tmp_path / "elsewhere"
    Path(folder).parents[1].rename(moved)
    run_job(export_job(ExportConfig(run=f"{moved}/runs/own", out=f"{tmp_path}/out")))
    assert load_classifier(f"{tmp_path}/out").class_names == ["a", "b"]
    retry_run(str(moved), "own", {"network"}, plan_only=True)
    said = capsys.readouterr().out
    assert "own: as it is stored; it could not go on now: data.path=" in said
    assert "own: no failed rows of these kinds are stored." in said
    with pytest.raises(UserError, match=r"data\.path=.*there is no such file or folder"):
        retry_run(str(moved), "own", {"network"}, plan_only=False)


def test_a_run_that_stored_no_manifest_is_named(tmp_path: Path) -> None:
    folder = Path(finish(configured(tmp_path)))
    (manifest,) = (folder.parents[1] / "artifacts" / "manifest").iterdir()
    (manifest / "artifact.json").unlink()
    root = str(folder.parents[1])
    with pytest.raises(UserError, match="its manifest or its texts are not stored"):
        stored_graph(read_run(root, "own"), ArtifactStore(root))
