"""From a finished run to a classifier, and from there to predictions over a folder."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.errors import UserError
from gist_ray.predict.config import ExportConfig, PredictConfig
from gist_ray.predict.folder import load_classifier
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.study.config import RunConfig

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_local")]

SIZES = {"train_per_species": 12, "val_per_species": 6, "test_per_species": 6}


@pytest.fixture(scope="module")
def run_folder(texts_file: str, tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    from gist_ray.run.run_job import run_job
    from gist_ray.study.job import study_job

    root = tmp_path_factory.mktemp("root")
    world = {"seed": 401, "num_genera": 2, "species_per_genus": 2, **SIZES}
    words = [f"data.{name}={value}" for name, value in world.items()]
    words += [*tiny, "study.trainings=[]", f"texts.import_from={texts_file}", f"root={root}"]
    config: RunConfig = build(RunConfig, compose_values("config", [*words, "name=source"]))
    run_job(study_job(config))
    return f"{root}/runs/source"


@pytest.fixture(scope="module")
def classifier(run_folder: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    from gist_ray.predict.export import export_job
    from gist_ray.run.run_job import run_job

    out = str(tmp_path_factory.mktemp("classifier"))
    run_job(export_job(ExportConfig(run=run_folder, out=out)))
    return out


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test pictures of the world, one of them cut short, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("new")
    write_collection(WorldConfig(seed=401, num_genera=2, species_per_genus=2, **SIZES), str(folder))
    pictures = folder / "images" / "test"
    broken = next(pictures.rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:100])
    (pictures / "notes.txt").write_text("no picture")
    return pictures


def predicted(classifier: str, images: Path, out: Path, **more: object) -> pd.DataFrame:
    from gist_ray.predict.job import predict_job
    from gist_ray.run.run_job import run_job

    settings = {"classifier": classifier, "images": str(images), "out": str(out), **more}
    run_job(predict_job(PredictConfig(max_failed_fraction=0.5, **settings)))  # type: ignore[arg-type]
    return stored(out)


def stored(out: Path) -> pd.DataFrame:
    parts = sorted(out.glob("artifacts/classified/*/parts/*.parquet"))
    return pd.concat([pd.read_parquet(part) for part in parts])


def test_the_method_is_the_best_on_val_and_calibrated(classifier: str) -> None:
    about = load_classifier(classifier).about
    assert about["val"]["num_images"] > 0
    assert about["val"]["log_loss"] <= about["val"]["log_loss_uncalibrated"] + 1e-5
    assert about["features"] == "frozen"


def test_every_image_is_predicted_or_an_error(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    rows = predicted(classifier, images, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["rows_in"], summary["rows_ok"], summary["failed"]) == (24, 23, {"corrupt": 1})
    assert len(rows) == 23
    assert rows.image_id.is_unique
    assert summary["classes"] == rows.class_name.value_counts().to_dict()
    errors = storage.read_parquet(str(tmp_path / "out" / "errors.parquet")).to_pylist()
    assert [row["kind"] for row in errors] == ["corrupt"]
    # chance is 0.25
    truth = rows.uri.map(lambda uri: Path(uri).parent.name.replace("_", " "))
    assert (truth == rows.class_name.str.lower()).mean() > 0.5
    assert (rows.top5.str[0] == rows.class_name).all()
    assert rows.explanation.notna().all()


def test_one_image_gets_what_the_job_says(classifier: str, images: Path, tmp_path: Path) -> None:
    row = predicted(classifier, images, tmp_path / "out").iloc[0]
    found = load_classifier(classifier).predict(row.uri)
    assert found.class_name == row.class_name
    assert found.probability == pytest.approx(row.probability, abs=1e-4)
    assert found.explanation == row.explanation
    assert found.abstained == row.abstained


def test_a_second_job_does_nothing_and_another_is_refused(
    classifier: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = predicted(classifier, images, tmp_path / "out")

    def never(*arguments: object) -> None:
        raise AssertionError("a page was predicted again")

    monkeypatch.setattr("gist_ray.predict.stage.run_rows", never)
    pd.testing.assert_frame_equal(predicted(classifier, images, tmp_path / "out"), first)
    with pytest.raises(UserError, match="another prediction is kept here"):
        predicted(classifier, images, tmp_path / "out", threshold=0.7)


def test_a_draw_that_the_run_does_not_have_is_said(run_folder: str, tmp_path: Path) -> None:
    from gist_ray.predict.export import export_job

    with pytest.raises(UserError, match="has no features=gist shots=2 seed=1"):
        export_job(ExportConfig(run=run_folder, out=str(tmp_path), features="gist"))


def test_a_picture_that_was_mended_is_tried_again(
    classifier: str, images: Path, tmp_path: Path
) -> None:
    from gist_ray.operate.retry_run import retry_run

    out = tmp_path / "out"
    pictures = Path(shutil.copytree(images, tmp_path / "pictures"))
    before = predicted(classifier, pictures, out)
    (failed,) = storage.read_parquet(f"{out}/errors.parquet").column("uri").to_pylist()
    shutil.copyfile(next(p for p in pictures.rglob("*.png") if str(p) != failed), failed)
    retry_run(str(out), "predict", {"throttled"}, plan_only=False)
    assert len(stored(out)) == len(before)
    retry_run(str(out), "predict", {"corrupt"}, plan_only=False)
    assert set(stored(out).uri) - set(before.uri) == {failed}
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["rows_in"], summary["rows_ok"], summary["failed"]) == (24, 24, {})
