"""The whole pipeline on a tiny world, all but the language model."""

import json
from pathlib import Path

import pytest

import gist_ray as gr
from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.schema import METRICS
from gist_ray.store import storage
from tests.end_to_end.running import artifact, configured, run

METHODS = ("linear_probe", "zero_shot_name", "zero_shot_texts", "zero_shot_best_texts")

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_local")]


def test_python_gets_the_metrics_of_a_run_that_is_stored(
    finished: str, in_world: list[str]
) -> None:
    run = gr.run([*in_world, f"root={finished}"])
    assert set(run.metrics.columns) == set(METRICS.names)
    assert len(run.metrics)
    assert Path(run.report).is_file()


def test_a_run_leaves_metrics_and_a_report(finished: str) -> None:
    folder = Path(finished) / "runs" / "tiny"
    assert "</html>" in (folder / "report.html").read_text()
    metrics = storage.read_parquet(str(folder / "metrics.parquet"))
    assert metrics.schema == METRICS
    values = {
        (row["features"], row["method"]): row["value"]
        for row in metrics.to_pylist()
        if (row["split"], row["metric"]) == ("test", "top1")
    }
    assert values.keys() == {(name, method) for name in ("frozen", "gist") for method in METHODS}
    assert all(0 <= value <= 1 for value in values.values())
    # chance is 0.25
    assert values["frozen", "linear_probe"] > 0.5
    assert values["frozen", "zero_shot_best_texts"] > 0.5
    differences = json.loads((folder / "summary.json").read_text())["differences"]
    assert [(row["features_b"], row["method_b"]) for row in differences] == [
        ("frozen", "linear_probe"),
        ("frozen", "zero_shot_best_texts"),
    ]


def test_pictures_get_the_text_of_their_own_form(finished: str) -> None:
    """The heart of the method, where chance is one in three."""
    texts = artifact(finished, "import texts").read().to_pylist()
    form_of_text = {row["text_id"]: row["text"].split(" has ")[0].split()[1] for row in texts}
    form_of_image = {
        row["image_id"]: json.loads(row["attributes"])["form"].split()[0]
        for row in artifact(finished, "manifest").read().to_pylist()
    }
    matches = artifact(finished, "match gist").read().to_pylist()
    hits = [form_of_image[row["image_id"]] == form_of_text[row["text_id"]] for row in matches]
    assert len(hits) == 48
    assert sum(hits) / len(hits) >= 0.9


def test_a_second_run_computes_nothing(
    finished: str, in_world: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("a stage ran again")

    monkeypatch.setattr("gist_ray.run.stage.ArtifactStore.writer", never)
    monkeypatch.setattr("gist_ray.run.run_job.connect", never)
    run(configured(*in_world, f"root={finished}", "name=again", "embed.batch_size=7"))
    assert (Path(finished) / "runs" / "again" / "report.html").exists()
    (Path(finished) / "runs" / "again" / "stages.json").unlink()


def test_a_second_round_trains_on_what_the_tuned_model_matches(
    finished: str, in_world: list[str]
) -> None:
    run(configured(*in_world, f"root={finished}", "name=rounds", "matching.rounds=2"))
    folder = Path(finished) / "runs" / "rounds"
    draw = "gist 2-shot seed 1"
    tuned, again = (
        artifact(finished, f"finetune {draw}{end}", "rounds") for end in ("", " round 2")
    )
    sampled = artifact(finished, "sample 2-shot seed 1", "rounds").read().to_pylist()
    matches = artifact(finished, f"match {draw} round 2", "rounds").read().to_pylist()
    made_anew = {
        row["name"] for row in storage.read_json(f"{folder}/stages.json") if not row["cached"]
    }
    (folder / "stages.json").unlink()
    assert {row["image_id"] for row in matches} == {
        row["image_id"] for row in sampled if row["split"] == "train"
    }
    assert "</html>" in (folder / "report.html").read_text()
    assert made_anew == {
        f"match {draw} round 2",
        f"finetune {draw} round 2",
        f"embed images {draw} round 2",
        f"embed class texts {draw} round 2",
        f"embed names texts {draw} round 2",
        *(f"{verb} {method} on {draw}" for verb in ("fit", "predict") for method in METHODS),
        f"measure {draw}",
        f"statistics of match {draw} round 2",
    }
    assert tuned.fingerprint != again.fingerprint


def test_a_corrupt_image_is_an_error_row_and_too_many_are_the_end(
    texts_file: str, tiny: list[str], tmp_path: Path
) -> None:
    world = WorldConfig(seed=401, num_genera=2, species_per_genus=2, train_per_species=20)
    write_collection(world, str(tmp_path / "world"))
    images = tmp_path / "world" / "images"
    broken = next((images / "test").rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:200])
    config = [
        "data=image_folder",
        f"data.path={images}",
        f"texts.import_from={texts_file}",
        *tiny,
        "study.trainings=[]",
        f"root={tmp_path}/root",
        "name=own",
    ]
    run(configured(*config))
    errors = artifact(f"{tmp_path}/root", "embed images frozen").read_errors().to_pylist()
    assert [(row["uri"], row["kind"]) for row in errors] == [(str(broken), "corrupt")]
    assert broken.name in (tmp_path / "root" / "runs" / "own" / "report.html").read_text()
    with pytest.raises(TooManyFailedRowsError, match=r"embed images frozen: 1 of 240 rows"):
        run(configured(*config, "max_failed_fraction=0"))
