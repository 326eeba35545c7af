"""A run that is killed, started again, ends with failed rows, and is mended: by the jobs that a
person would call."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.operate.clean import find_garbage
from gist_ray.operate.retry_run import retry_run
from gist_ray.operate.status import read_status
from gist_ray.settings.configs import CONFIGS
from gist_ray.store import storage
from gist_ray.study.stored import read_run
from tests.end_to_end.running import configured, run

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("ray_local")]

ZERO_SHOT = ("zero_shot_name", "zero_shot_texts", "zero_shot_best_texts")
SIZES = {"train_per_species": 20, "val_per_species": 2, "test_per_species": 10}
CLASSES = {"num_genera": 2, "species_per_genus": 2}


def job(name: str, *words: str) -> list[str]:
    return [sys.executable, str(CONFIGS.parent / "jobs" / f"{name}.py"), *words]


def status_job(root: str) -> subprocess.CompletedProcess[str]:
    words = job("status", root, "--run", "own", "--json")
    return subprocess.run(words, capture_output=True, text=True, check=False)


def metrics_of(root: str) -> list[dict[str, Any]]:
    table = storage.read_parquet(f"{root}/runs/own/metrics.parquet")
    order = [(name, "ascending") for name in ("features", "method", "split", "metric")]
    rows: list[dict[str, Any]] = table.sort_by(order).to_pylist()
    return rows


def num_samples(root: str) -> list[int]:
    return [row["num_samples"] for row in metrics_of(root)]


def assert_same_metrics(root: str, other: str) -> None:
    """Up to the last bits of an embedding, which depend on what else was in its batch."""
    for one, two in zip(metrics_of(root), metrics_of(other), strict=True):
        numbers = {"value", "ci_low", "ci_high"}
        assert {k: v for k, v in one.items() if k not in numbers} == {
            k: v for k, v in two.items() if k not in numbers
        }
        for name in numbers:
            assert one[name] == pytest.approx(two[name], abs=1e-4)


def kill_while_embedding(words: list[str], root: str) -> None:
    process = subprocess.Popen(
        job("run", *words), stdout=subprocess.DEVNULL, start_new_session=True
    )
    folders = Path(root) / "artifacts" / "image_embeddings"
    while not list(folders.glob("*/progress.json")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("world")
    write_collection(WorldConfig(seed=401, **CLASSES, **SIZES), str(folder))
    return folder / "images"


def test_killed_started_again_and_its_failed_rows_mended(
    data: Path, texts_file: str, tiny: list[str], tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    words = [
        "data=image_folder",
        f"data.path={data}",
        f"texts.import_from={texts_file}",
        *tiny,
        "study.trainings=[]",
        "embed.rows_per_part=16",
        "max_failed_fraction=0.05",
        "name=own",
    ]
    undisturbed = str(tmp_path / "undisturbed")
    run(configured(*words, f"root={undisturbed}"))

    # Two pictures cannot be read for a while.
    whole = {file: file.read_bytes() for file in sorted(data.rglob("*.png"))[3:70:50]}
    for file, content in whole.items():
        file.write_bytes(content[:200])
    kill_while_embedding([*words, f"root={root}"], root)
    dead = status_job(root)
    assert dead.returncode == 1
    assert json.loads(dead.stdout)["state"] == "dead"
    states = {stage["name"]: stage["state"] for stage in json.loads(dead.stdout)["stages"]}
    assert states["manifest"] == "stored"
    assert states["embed images frozen"] == "dead"

    # The same again goes on at once.
    run(configured(*words, f"root={root}"))
    after = status_job(root)
    assert after.returncode == 0
    embedded = next(
        stage for stage in json.loads(after.stdout)["stages"] if "images" in stage["name"]
    )
    assert (embedded["state"], embedded["failed"]) == ("stored", {"corrupt": 2})
    assert num_samples(root) != num_samples(undisturbed)

    for file, content in whole.items():
        file.write_bytes(content)
    retry_run(root, "own", {"throttled", "network"}, plan_only=False)
    assert num_samples(root) != num_samples(undisturbed)
    retry_run(root, "own", {"corrupt"}, plan_only=True)
    assert num_samples(root) != num_samples(undisturbed)
    retry_run(root, "own", {"corrupt"}, plan_only=False)
    assert_same_metrics(root, undisturbed)

    finished = read_status(root, "own")
    assert finished is not None
    assert finished.state == "finished"
    assert not any(stage.failed for stage in finished.stages)
    metrics = storage.read_json(f"{root}/runs/own/metrics.json")
    made = {row["name"] for row in metrics["stages"] if row["state"] == "made"}
    of_draw = ["linear_probe on frozen 2-shot seed 1"]
    of_none = [f"{name} on frozen" for name in ZERO_SHOT]
    assert made == {
        "embed images frozen",
        *(f"{verb} {named}" for verb in ("fit", "predict") for named in of_draw + of_none),
        "measure frozen 2-shot seed 1",
        "measure frozen",
    }
    assert metrics["hardware"]["CPU"] >= 4
    assert find_garbage(root) == []
    assert read_run(root, "own").root == root
