"""Results of a run whose pictures are stand-ins."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.stand_ins import sentences, write_stand_ins
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.stage import in_order
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.job import plan
from gist_ray.study.results import write_results

SPLITS = ("train", "train", "val", "test/night", "test/day", "test/day")


def test_a_run_without_a_plain_test_set_shows_the_first_of_its_named_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(tmp_path / "manifest.csv", "w") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "class_name", "split"])
        for number in range(48):
            rows.writerow([f"{number}.jpg", "ab"[number % 2], SPLITS[number // 2 % len(SPLITS)]])
    texts = sentences(6)
    (tmp_path / "texts.json").write_text(json.dumps({"a": texts[:3], "b": texts[3:]}))
    words = [
        "name=named",
        f"root={tmp_path}/root",
        "data=manifest",
        f"data.path={tmp_path}/manifest.csv",
        f"texts.import_from={tmp_path}/texts.json",
        "prompts=generic",
        "study.trainings=[gist]",
        "study.shots=[2]",
        "study.seeds=[1]",
        "methods=[linear_probe]",
        "methods.linear_probe.num_search_steps=0",
        "evaluation.num_bootstrap=20",
    ]
    config: RunConfig = build(RunConfig, compose_values("config", words))
    store = ArtifactStore(config.root)
    graph = plan(config, store)
    before = in_order(stage for stage in graph.stages if stage.kind in ("texts", "shots"))
    run_flow(before, store, Progress(), num_cpus=1, max_failed_fraction=0)
    write_stand_ins(graph, store, 16)
    done = run_flow(graph.stages, store, Progress(), num_cpus=1, max_failed_fraction=0)
    [line] = write_results(config, store, graph, done=done, about=["two test sets"])

    folder = f"{store.root}/runs/named"
    assert line == f"Report: {folder}/report.html"
    assert "<li>two test sets</li>" in storage.read_text(f"{folder}/report.html")
    summary = storage.read_json(f"{folder}/summary.json")
    assert {row["split"] for row in summary["summary"]} == {"test/day", "test/night"}
    assert {row["split"] for row in summary["differences"]} == {"test/day", "test/night"}
    page = storage.read_text(f"{folder}/report.html")
    assert "On the images of test/day: top-1 accuracy" in page
    assert "of 16 test images are classified wrongly" in page
    assert "Further test sets are in metrics.parquet and summary.json: test/night." in page
    said = " ".join(capsys.readouterr().out.split())
    for split in ("test/day", "test/night"):
        assert f"top-1 accuracy on the images of {split}" in said
        assert f"2-shot on {split}: gist linear_probe - frozen linear_probe" in said
