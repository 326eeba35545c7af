"""A prediction as a job, without a cluster."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.errors import UserError
from gist_ray.predict.config import ExportConfig, PredictConfig
from gist_ray.predict.images import pages_of_images
from gist_ray.predict.job import predict_job
from gist_ray.predict.stage import scaled_as_trained
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.run_job import run_job
from gist_ray.settings.declare import Runtime
from gist_ray.store import storage
from tests.predict.made import (
    configured,
    predict,
    without_cluster,
    write_classifier,
    write_pictures,
)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cluster(monkeypatch)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Of four pictures the last cannot be read."""
    return write_pictures(tmp_path / "images", a="0", b="1", c="2", d="corrupt")


def summary_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def table_of(images: Path, names: str) -> str:
    rows = "".join(f"{images}/{name}.jpg\n" for name in names)
    (images.parent / "images.csv").write_text(f"image\n{rows}")
    return str(images.parent / "images.csv")


def fingerprints(config: PredictConfig) -> list[str]:
    return [stage.fingerprint for stage in predict_job(config).stages]


def test_summary_errors_and_record(classifier: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(classifier, images, out)
    summary = summary_of(out)
    assert (summary["rows_in"], summary["rows_ok"], summary["failed"]) == (4, 3, {"corrupt": 1})
    assert summary["classes"] == {"red one": 1, "green one": 1, "blue one": 1}
    assert summary["abstained"] == 1
    errors = storage.read_parquet(f"{out}/errors.parquet").to_pylist()
    assert [(Path(row["uri"]).name, row["kind"]) for row in errors] == [("d.jpg", "corrupt")]
    plan = json.loads((out / "runs" / "predict" / "plan.json").read_text())
    assert plan["command"] == "predict"
    assert [stage["name"] for stage in plan["stages"]] == ["predict page 1"]
    assert json.loads((out / "runs" / "predict" / "metrics.json").read_text())["outcome"] == (
        "finished"
    )


def test_a_plan_writes_nothing(
    classifier: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(predict_job(configured(classifier, images, tmp_path / "out")), plan_only=True)
    assert "4 images of" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_deep_pictures_are_scaled_as_in_training_unless_the_config_says_otherwise(
    images: Path, tmp_path: Path
) -> None:
    config = configured(write_classifier(tmp_path / "deep", white_level=4095), images, tmp_path)
    assert scaled_as_trained(config) == replace(config.embed, white_level=4095)
    of_its_own = replace(config, embed=replace(config.embed, white_level=1023))
    assert scaled_as_trained(of_its_own) == of_its_own.embed


def test_one_picture_is_classified(classifier: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(classifier, images / "a.jpg", out)
    assert summary_of(out)["classes"] == {"red one": 1}
    with pytest.raises(UserError, match=r"gone\.jpg"):
        predict_job(configured(classifier, images / "gone.jpg", tmp_path / "other"))


def test_a_table_with_categorical_columns_is_read(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    names = pa.array(["a.jpg", "b.jpg"]).dictionary_encode()
    pq.write_table(pa.table({"image": names}), images / "t.parquet")
    predict(classifier, images / "t.parquet", tmp_path / "out")
    assert summary_of(tmp_path / "out")["rows_ok"] == 2


def test_a_table_may_hold_absolute_paths_beside_relative_ones(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    first, *others = sorted(images.iterdir())
    rows = [str(first), *(f"{images.name}/{one.name}" for one in others)]
    file = images.parent / "mixed.csv"
    file.write_text("\n".join(["image", *rows]))
    found = [page.images for page in pages_of_images(configured(classifier, file, tmp_path))]
    assert found[0].column("uri").to_pylist() == [str(first), *map(str, others)]


def test_a_page_is_a_stage_and_pages_of_an_earlier_listing_go(
    classifier: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gist_ray.predict.images.ROWS_PER_PAGE", 2)
    out = tmp_path / "out"
    predict(classifier, table_of(images, "abc"), out)
    pages = {path.name: path for path in (out / "artifacts" / "classified").iterdir()}
    assert len(pages) == 2
    first = json.loads((out / "runs" / "predict" / "plan.json").read_text())["stages"][0]
    made = (pages[first["fingerprint"]] / "artifact.json").stat().st_mtime_ns
    predict(classifier, table_of(images, "abdc"), out)
    assert len(list((out / "artifacts" / "classified").iterdir())) == 2
    assert (pages[first["fingerprint"]] / "artifact.json").stat().st_mtime_ns == made
    assert summary_of(out)["rows_in"] == 4


def test_failed_images_are_counted_over_all_pages(
    classifier: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gist_ray.predict.images.ROWS_PER_PAGE", 2)
    table = table_of(images, "abdc")
    predict(classifier, table, tmp_path / "out", max_failed_fraction=0.25)
    with pytest.raises(TooManyFailedRowsError, match=r"predict: 1 of 4 rows failed \(corrupt: 1\)"):
        predict(classifier, table, tmp_path / "out", max_failed_fraction=0.2)
    assert summary_of(tmp_path / "out")["rows_ok"] == 3


def test_rows_of_a_table_that_name_no_image_are_errors_of_the_first_page(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    table = table_of(images, "ab")
    Path(table).write_text(Path(table).read_text() + '""\n')
    predict(classifier, table, tmp_path / "out")
    assert summary_of(tmp_path / "out")["failed"] == {"missing": 1}


def test_another_prediction_in_the_same_folder_is_refused_when_the_job_is_made(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    predict_job(configured(classifier, images, out))
    assert not out.exists()
    predict(classifier, images, out)
    predict(classifier, images, out)
    with pytest.raises(UserError, match=r"another prediction is kept here \(threshold differ\)"):
        predict_job(configured(classifier, images, out, threshold=0.7))


def test_a_folder_of_other_runs_is_refused_unless_they_came_later(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    study = out / "runs" / "study" / "plan.json"
    storage.write_json(str(study), {"command": "run"})
    with pytest.raises(UserError, match=r"something else is kept here \(study\)"):
        predict_job(configured(classifier, images, out))
    storage.delete(str(study.parent))
    predict(classifier, images, out)
    storage.write_json(str(study), {"command": "run"})
    predict(classifier, images, out)


def test_no_picture_at_all_is_said(classifier: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there is no picture here"):
        predict_job(configured(classifier, tmp_path / "empty", tmp_path / "out"))


def test_every_setting_is_marked_runtime_or_changes_a_fingerprint(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    """Classifier and images count by their content, and so do the columns that choose among it."""
    table = images.parent / "images.parquet"
    rows = {"image": [f"{images}/a.jpg"], "other": [f"{images}/b.jpg"], "name": ["first"]}
    storage.write_parquet(str(table), pa.table(rows))
    config = configured(classifier, table, tmp_path / "out")
    (tmp_path / "another").mkdir()
    another = write_classifier(tmp_path / "another")
    description = json.loads((tmp_path / "another" / "classifier.json").read_text())
    storage.write_json(f"{another}/classifier.json", {**description, "temperature": 2.0})
    others: dict[str, Any] = {
        "classifier": another,
        "images": str(images),
        "out": str(tmp_path / "elsewhere"),
        "image_column": "other",
        "id_column": "name",
        "threshold": 0.7,
        "embed": replace(config.embed, precision="bf16"),
        "max_failed_fraction": 0.1,
    }
    declared = PredictConfig.__pydantic_fields__  # type: ignore[attr-defined]
    assert others.keys() == declared.keys()
    before = fingerprints(config)
    for name, value in others.items():
        is_runtime = Runtime in declared[name].metadata
        assert (fingerprints(replace(config, **{name: value})) == before) is is_runtime, name


def test_only_the_folder_of_an_export_is_runtime() -> None:
    declared = ExportConfig.__pydantic_fields__  # type: ignore[attr-defined]
    assert {name for name, field in declared.items() if Runtime in field.metadata} == {"out"}


def test_changed_errors_of_the_listing_are_another_page(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    table = table_of(images, "ab")
    config = configured(classifier, table, tmp_path / "out")
    before = fingerprints(config)
    Path(table).write_text(Path(table).read_text() + '""\n')
    assert fingerprints(config) != before


def test_places_in_a_submitted_job_are_absolute(
    classifier: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(UserError, match="out=predicted: in a submitted job"):
        predict_job(configured(classifier, images, "predicted"))
