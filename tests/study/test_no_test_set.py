"""A data set without a test set: it is trained on, chosen on val and exported; nothing is measured
on test, and everything says so."""

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.stand_ins import sentences, write_stand_ins
from gist_ray.errors import UserError
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.export import export_job
from gist_ray.predict.folder import load_classifier
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.record import recorded
from gist_ray.run.run_job import run_job
from gist_ray.run.stage import in_order
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.job import plan, study_job
from gist_ray.study.results import write_results
from tests.predict.made import without_cluster


def configured(folder: Path, *words: str) -> RunConfig:
    Image.new("RGB", (8, 8)).save(folder / "0.jpg")
    rows = [f"{number}.jpg,{'ab'[number % 2]}" for number in range(24)]
    (folder / "table.csv").write_text("\n".join(["image,class_name", *rows]))
    texts = sentences(6)
    (folder / "texts.json").write_text(json.dumps({"a": texts[:3], "b": texts[3:]}))
    given = [
        "name=own",
        f"root={folder}/root",
        "data=manifest",
        f"data.path={folder}/table.csv",
        "data.test_fraction=0",
        f"texts.import_from={folder}/texts.json",
        "prompts=generic",
        "study.trainings=[]",
        "study.shots=[full]",
        "study.seeds=[1]",
        "methods=[linear_probe,nearest_class_mean]",
        "methods.linear_probe.num_search_steps=0",
        "evaluation.num_bootstrap=20",
    ]
    config: RunConfig = build(RunConfig, compose_values("config", [*given, *words]))
    return config


def finish(config: RunConfig) -> str:
    """Makes the run with stand-ins for its embeddings; returns its folder."""
    store = ArtifactStore(config.root)
    graph = plan(config, store)
    progress = Progress()
    with recorded(study_job(config), progress) as heartbeat:
        before = in_order(stage for stage in graph.stages if stage.kind in ("texts", "shots"))
        run_flow(before, store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat)
        write_stand_ins(graph, store, 128)  # the dimension of the embedded CLIP
        stages = graph.stages
        done = run_flow(
            stages, store, progress, num_cpus=1, max_failed_fraction=0, leases=heartbeat
        )
        write_results(config, store, graph, done=done, about=[])
    return f"{config.root}/runs/{config.name}"


def test_it_is_said_in_plan_console_and_report_and_val_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(tmp_path)
    said = "No test set: nothing is measured on images that no choice has seen. The 2 val images"
    assert any(line.startswith(said) for line in study_job(config).about)
    folder = finish(config)
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert "top-1 accuracy on the val images" in printed
    summary = storage.read_json(f"{folder}/summary.json")
    assert {row["split"] for row in summary["summary"]} == {"val"}
    assert summary["differences"] == []
    page = storage.read_text(f"{folder}/report.html")
    assert said in page
    assert "On the val images: top-1 accuracy" in page
    assert "of 2 val images are classified wrongly" in page


def test_without_val_too_nothing_is_measured_and_one_method_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_cluster(monkeypatch)
    folder = finish(configured(tmp_path, "data.val_fraction=0"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "There are no val images either, so that nothing is measured at all." in printed
    assert "top-1" not in printed
    assert storage.read_parquet(f"{folder}/metrics.parquet").num_rows == 0
    assert "nothing is measured at all" in storage.read_text(f"{folder}/report.html")
    out = f"{tmp_path}/out"
    with pytest.raises(UserError, match=r"method=best: .* no val images.* linear_probe, nearest"):
        export_job(ExportConfig(run=folder, out=out))
    run_job(export_job(ExportConfig(run=folder, out=out, method="nearest_class_mean")))
    assert load_classifier(out).about["val"]["num_images"] == 0


def test_all_that_an_export_reads_is_made(tmp_path: Path) -> None:
    config = configured(tmp_path, "methods=[linear_probe]", "study.trainings=[gist]")
    names = {stage.name for stage in plan(config, ArtifactStore(config.root)).stages}
    assert "embed class texts gist all images seed 1" in names
    assert not any(name.startswith("predict") for name in names)


def test_an_epoch_cannot_be_chosen_without_val(tmp_path: Path) -> None:
    words = ["data.val_fraction=0", "study.trainings=[gist]"]
    with pytest.raises(UserError, match=r"finetune\.select_by=probe: .*set finetune\.select_by=la"):
        study_job(configured(tmp_path, *words))
    study_job(configured(tmp_path, *words, "finetune.select_by=last"))
