"""Results of a run whose pictures are stand-ins."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.stand_ins import sentences, write_stand_ins
from gist_ray.errors import UserError
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


def finished(folder: Path, columns: str, cells: Callable[[int], str], *words: str) -> str:
    """The folder of a finished run on 48 stand-ins of pictures, two classes in turn."""
    with open(folder / "manifest.csv", "w") as file:
        file.write(f"image,class_name,{columns}\n")
        for number in range(48):
            file.write(f"{number}.jpg,{'ab'[number % 2]},{cells(number)}\n")
    texts = sentences(6)
    (folder / "texts.json").write_text(json.dumps({"a": texts[:3], "b": texts[3:]}))
    made: RunConfig = build(
        RunConfig,
        compose_values(
            "config",
            [
                "name=named",
                f"root={folder}/root",
                "data=manifest",
                f"data.path={folder}/manifest.csv",
                f"texts.import_from={folder}/texts.json",
                "prompts=generic",
                "study.trainings=[gist]",
                "study.shots=[2]",
                "study.seeds=[1]",
                "methods=[linear_probe]",
                "methods.linear_probe.num_search_steps=0",
                "evaluation.num_bootstrap=20",
                *words,
            ],
        ),
    )
    store = ArtifactStore(made.root)
    graph = plan(made, store)
    before = in_order(stage for stage in graph.stages if stage.kind in ("texts", "shots"))
    run_flow(before, store, Progress(), num_cpus=1, max_failed_fraction=0)
    write_stand_ins(graph, store, 16)
    done = run_flow(graph.stages, store, Progress(), num_cpus=1, max_failed_fraction=0)
    [line] = write_results(made, store, graph, done=done, about=["two test sets"])
    root = f"{store.root}/runs/named"
    assert line == f"Report: {root}/report.html"
    assert "<li>two test sets</li>" in storage.read_text(f"{root}/report.html")
    return root


def test_a_run_without_a_plain_test_set_shows_the_first_of_its_named_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(tmp_path, "split", lambda number: SPLITS[number // 2 % len(SPLITS)])
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


def site(number: int) -> str:
    """Every second picture is of test: 24, of which two have no site."""
    split = ("train", "train", "test", "test")[number % 4]
    return f"{split},{'north' if number < 46 else ''}"


def test_slices_are_told_in_the_table_the_summary_the_page_and_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(tmp_path, "split,site", site, "evaluation.slices=[site]")
    metrics = storage.read_parquet(f"{folder}/metrics.parquet").to_pylist()
    of_test = [row for row in metrics if row["split"] == "test" and row["metric"] == "top1"]
    sizes = {row["slice"]: row["num_samples"] for row in of_test}
    assert sizes == {"": 24, "site=north": 22, "site=(missing)": 2}
    assert len(of_test) == 2 * 3
    assert {row["slice"] for row in metrics if row["split"] == "val"} <= {""}
    summary = storage.read_json(f"{folder}/summary.json")
    # one row of all images per model, as without slices
    assert [row["metric"] for row in summary["summary"]].count("top1") == 2
    north, missing = summary["slices"]
    assert (north["attribute"], north["value"], north["num_images"]) == ("site", "north", 22)
    assert (missing["value"], missing["num_images"], missing["mean"]) == (None, 2, None)
    page = storage.read_text(f"{folder}/report.html")
    assert "too few to say" in page
    said = " ".join(capsys.readouterr().out.split())
    assert "site: too few images to compare its values." in said


def test_an_attribute_that_no_test_image_has_is_refused_in_the_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no test image has the attribute 'tone'.*'site'"):
        finished(tmp_path, "split,site", site, "evaluation.slices=[tone]")
