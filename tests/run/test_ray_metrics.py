"""Our metrics as Prometheus gets them from a node of Ray, and the board that shows them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gist_ray.run.ray_metrics import COUNTERS, GAUGES, exported_names
from gist_ray.settings.configs import CONFIGS

GRAFANA = CONFIGS.parent / "cluster" / "grafana"
NAME = re.compile(r"\bray_[a-z0-9_]+\b")

# A Ray of its own: the one of the other tests may be another's cluster, without a known port.
SCRAPED = """
import sys, time, urllib.request
from collections import Counter

import pyarrow as pa
import ray

from gist_ray.store.artifacts import ArtifactStore
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows

ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)

def work(batch):
    kinds = ["throttled" if n % 10 == 0 else "" for n in batch["n"]]
    return {**batch, "num": [2] * len(kinds), "error_kind": kinds, "error_message": kinds}

store, progress = ArtifactStore(sys.argv[1]), Progress()
tell = RayMetrics("tiny")
writer = store.writer("squares", "square", {}, inputs={})
ids = [f"n{n}" for n in range(40)]
with progress.running("square", "squares", writer.uri):
    run_rows(
        pa.table({"id": ids, "n": list(range(40))}),
        id_column="id",
        transform=lambda dataset: dataset.map_batches(work, batch_size=None),
        schema=pa.schema([("id", pa.string()), ("num", pa.int64())]),
        writer=writer,
        rows_per_part=20,
        unit="numbers",
        progress=progress,
        tokens_column="num",
    )
    tell(progress.stages())
with progress.running("finetune", "tuned", ""):
    meter = progress.rows("finetune", 12, "steps", already=4)
    meter.add(4, values={"loss": 0.25, "val score": 0.5})
    tell(progress.stages())
tell(progress.stages())

node = ray.nodes()[0]
url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
wanted = "ray_gist_ray_loss"
text = ""
deadline = time.monotonic() + 90
while wanted not in text and time.monotonic() < deadline:
    time.sleep(1)
    try:
        text = urllib.request.urlopen(url, timeout=10).read().decode()
    except OSError:
        continue
print(text)
"""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = str(tmp_path_factory.mktemp("metrics"))
    done = subprocess.run(
        [sys.executable, "-c", SCRAPED, folder],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def value(lines: list[str], name: str, **tags: str) -> float:
    for line in lines:
        if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in tags.items()):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"{name} {tags} is not among {[x for x in lines if name in x]}")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_what_prometheus_gets_of_a_stage_and_a_training(scraped: list[str]) -> None:
    of = {"run": "tiny", "stage": "square"}
    assert value(scraped, "ray_gist_ray_rows_total", **of, outcome="ok") == 36
    assert value(scraped, "ray_gist_ray_rows_total", **of, kind="throttled") == 4
    assert value(scraped, "ray_gist_ray_tokens_total", **of) == 72
    assert value(scraped, "ray_gist_ray_left", **of) == 0
    assert value(scraped, "ray_gist_ray_stage_seconds", **of) > 0
    tuned = {"run": "tiny", "stage": "finetune"}
    assert value(scraped, "ray_gist_ray_steps_total", **tuned) == 4
    assert value(scraped, "ray_gist_ray_loss", **tuned) == 0.25
    assert value(scraped, "ray_gist_ray_val_score", **tuned) == 0.5
    ours = {line.split()[2] for line in scraped if line.startswith("# TYPE ray_gist_ray")}
    assert ours == exported_names()


def board() -> dict:
    found: dict = json.loads((GRAFANA / "gist_ray.json").read_text())
    return found


def names_of_rays_own_boards() -> set[str]:
    import ray.dashboard

    folder = Path(ray.dashboard.__file__).parent / "modules" / "metrics" / "dashboards"
    return {name for file in folder.glob("*.py") for name in NAME.findall(file.read_text())}


def test_the_board_asks_for_metrics_that_there_are() -> None:
    known = exported_names() | names_of_rays_own_boards()
    expressions = [
        target["expr"] for panel in board()["panels"] for target in panel.get("targets", [])
    ]
    asked = {name for expression in expressions for name in NAME.findall(expression)}
    assert asked - known == set()
    assert exported_names() - asked == set()
    queries = [one["query"] for one in board()["templating"]["list"]]
    assert set(NAME.findall(json.dumps(queries))) <= exported_names()
    # tags that are asked for are tags that are told
    tags = {tag for text, more in COUNTERS.values() for tag in more} | {"run", "stage"}
    for expression in expressions:
        if "gist_ray" in expression:
            assert set(re.findall(r"(\w+)=~?\"", expression)) <= tags
            for grouped in re.findall(r"by \(([^)]*)\)", expression):
                assert set(grouped.split(", ")) <= tags


def test_the_board_is_one_that_grafana_loads() -> None:
    """Grafana asks of a board a schema version, panels with ids of their own and places that do not
    overlap, targets with a data source and letters of their own."""
    found = board()
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= found.keys()
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        letters = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(letters)) == len(letters)
        assert all(target["datasource"] for target in panel.get("targets", []))


def test_prometheus_looks_where_ray_writes() -> None:
    from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

    (job,) = yaml.safe_load((GRAFANA / "prometheus.yml").read_text())["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]}]


def test_every_metric_is_named_and_explained() -> None:
    for name, (text, tags) in {**COUNTERS, **GAUGES}.items():
        assert name.startswith("gist_ray_")
        assert text.endswith(".")
        assert not {"run", "stage"} & set(tags)
