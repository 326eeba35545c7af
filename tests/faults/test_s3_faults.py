"""The pipeline as a user runs it, from S3 to S3, while the endpoint throttles, resets, truncates,
stalls and forbids, and while its processes are killed. What it leaves is compared with what an
undisturbed run left: row by row, part by part, number by number.
"""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.settings.configs import CONFIGS
from tests.conftest import s3_environment
from tests.end_to_end.conftest import texts_from_notes
from tests.faults.proxy import FaultyProxy, Rule, faulty_proxy

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1800),
]

BUCKET = "team"
RUN_TIMEOUT_S = 900
NUM_STEPS, VALIDATE_EVERY = 24, 4
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "geheim-of-s3",
    "AWS_SESSION_TOKEN": "geheim-of-the-session",
    "RAY_AUTH_TOKEN": "geheim-of-ray",
}
# No name is a word of a URL: every one has to be quoted right.
ODD = ["a b", "50%25", "#1", "what?", "a+b", "caf\u00e9", "[x]", "&=", "\u732b", "it's"]


@dataclass
class World:
    """An S3 with a user's data, and what is needed to run jobs against it."""

    proxy: FaultyProxy
    s3: Any
    keys: list[str]
    ray_folder: Path
    runs: dict[str, "Run"] = field(default_factory=dict)


@dataclass
class Run:
    output: str
    seconds: float
    requests: int
    faults: dict[str, int]
    put: Counter[str]


@pytest.fixture(scope="module")
def s3_world(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    environment = s3_environment(s3_endpoint)
    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket=BUCKET)
    folder = tmp_path_factory.mktemp("world")
    sizes = {"train_per_species": 6, "val_per_species": 2, "test_per_species": 4}
    world = WorldConfig(seed=401, num_genera=2, species_per_genus=2, **sizes)
    write_collection(world, str(folder))
    keys = []
    for number, file in enumerate(sorted((folder / "images").rglob("*.png"))):
        place = file.parent.relative_to(folder / "images")
        keys.append(f"my data/{place}/{ODD[number % len(ODD)]} {file.name}")
        client.upload_file(str(file), BUCKET, keys[-1])
    client.put_object(Bucket=BUCKET, Key="texts.json", Body=json.dumps(texts_from_notes(world)))
    # Ray's sockets lie below it, and their paths must be short.
    with (
        tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as short,
        faulty_proxy(s3_endpoint, seed=3) as proxy,
    ):
        yield World(proxy, client, keys, Path(short))


def start(world: World, name: str, *words: str) -> subprocess.Popen:
    command = [
        sys.executable,
        str(CONFIGS.parent / "jobs" / "run.py"),
        "name=run",
        f"root=s3://{BUCKET}/{name}",
        "data=image_folder",
        f"data.path='s3://{BUCKET}/my data'",
        f"texts.import_from=s3://{BUCKET}/texts.json",
        "study.trainings=[gist]",
        "study.shots=[2]",
        "study.seeds=[1]",
        f"finetune.num_steps={NUM_STEPS}",
        f"finetune.validate_every_steps={VALIDATE_EVERY}",
        "finetune.batch_size=8",
        "finetune.precision=fp32",
        "evaluation.num_bootstrap=50",
        "matching.k=1",
        "embed.rows_per_part=8",
        *words,
    ]
    environment = {
        **os.environ,
        **s3_environment(world.proxy.url),
        **SECRETS,
        "FSSPEC_S3_CONFIG_KWARGS": '{"read_timeout": 3}',
        "RAY_TMPDIR": str(world.ray_folder),
        "GIST_RAY_CACHE": str(world.ray_folder / "cache"),
    }
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill(job: subprocess.Popen) -> None:
    """The job and the Ray that it started, if there is anything left of them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    job.communicate()


def run(world: World, name: str, *words: str, rules: tuple[Rule, ...] = ()) -> Run:
    """A run to its end, with its figures printed (shown by `pytest -s` and on failure)."""
    world.proxy.reset(*rules)
    begin = time.monotonic()
    job = start(world, name, *words)
    try:
        output, _ = job.communicate(timeout=RUN_TIMEOUT_S)
    finally:
        kill(job)
    seconds = time.monotonic() - begin
    put = Counter(r.path for r in world.proxy.requests if r.method == "PUT" and not r.fault)
    done = Run(output, seconds, len(world.proxy.requests), dict(world.proxy.counts), put)
    print(f"\n{name}: {done.seconds:.1f} s, {done.requests} requests, faults {done.faults}")
    return done


@pytest.fixture(scope="module")
def undisturbed(s3_world: World) -> Run:
    done = run(s3_world, "undisturbed")
    assert "Report: s3://" in done.output, done.output
    return done


def objects(world: World, prefix: str) -> dict[str, bytes]:
    """Every object below a prefix, by its name there."""
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    return {
        key.removeprefix(f"{prefix}/"): world.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        for key in keys
    }


def table(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


def check_artifacts(found: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Every part belongs to an artifact that counts it, and every id is there once; returns what
    each artifact says of itself, by its place."""
    infos = {
        name.removesuffix("/artifact.json"): json.loads(data)
        for name, data in found.items()
        if name.startswith("artifacts/") and name.endswith("/artifact.json")
    }
    for name in found:
        if name.startswith("artifacts/"):
            assert any(name.startswith(f"{folder}/") for folder in infos), f"{name}: no artifact"
    for folder, info in infos.items():
        listed = {part["file"] for part in info["parts"]}
        parts = {n.removeprefix(f"{folder}/") for n in found if n.startswith(f"{folder}/parts/")}
        assert parts <= listed
        ids: list[str] = []
        for part in info["parts"]:
            rows = table(found[f"{folder}/{part['file']}"])
            assert rows.num_rows == part["rows"]
            if parts:
                ids += rows.column(0).to_pylist()
        if info["errors"]:
            ids += table(found[f"{folder}/errors.parquet"]).column("id").to_pylist()
        assert len(ids) == len(set(ids))
        assert info["counts"]["rows_in"] == info["counts"]["rows_ok"] + info["errors"]
    return infos


def same_rows(one: dict[str, bytes], other: dict[str, bytes], folder: str, info: Any) -> bool:
    """Whether two runs made the same rows of an artifact, bit by bit, in whatever order."""

    def rows(found: dict[str, bytes]) -> Any:
        tables = [table(found[f"{folder}/{part['file']}"]) for part in info["parts"]]
        return sorted(repr(row) for part in tables for row in part.to_pylist())

    return rows(one) == rows(other)


def check_same(world: World, name: str) -> None:
    """A run left exactly what the undisturbed one did."""
    expected, found = objects(world, "undisturbed"), objects(world, name)
    infos = check_artifacts(found)
    assert infos.keys() == check_artifacts(expected).keys()
    for folder, info in infos.items():
        assert not info["counts"]["failed"]
        assert same_rows(expected, found, folder, info), folder
    metrics = "runs/run/metrics.parquet"
    assert table(found[metrics]).equals(table(expected[metrics]))
    weights = [n for n in expected if n.endswith("open_clip_model.safetensors")]
    assert len(weights) == 1
    assert found[weights[0]] == expected[weights[0]]
    assert b"</html>" in found["runs/run/report.html"]


def test_no_secret_is_written_anywhere(s3_world: World, undisturbed: Run) -> None:
    looked_at = 0

    def clean(name: str, data: bytes) -> None:
        nonlocal looked_at
        looked_at += 1
        assert b"geheim" not in data, name

    clean("output", undisturbed.output.encode())
    for name, data in objects(s3_world, "undisturbed").items():
        clean(name, data)
        if name.endswith(".parquet"):  # its pages are compressed
            clean(name, repr(table(data).to_pylist()).encode())
    logs = [f for f in s3_world.ray_folder.rglob("*") if f.is_file()]
    assert any("session_" in str(file) and file.suffix in (".log", ".out") for file in logs)
    for file in logs:
        clean(str(file), file.read_bytes())
    assert looked_at > 100


def test_a_second_run_finds_everything_stored(s3_world: World, undisturbed: Run) -> None:
    stages = json.loads(objects(s3_world, "undisturbed")["runs/run/stages.json"])
    assert any(row["kind"] == "finetuned" for row in stages)
    assert not any(row["cached"] or row["failed"] for row in stages)
    again = run(s3_world, "undisturbed")
    assert "Report: s3://" in again.output, again.output
    assert " runs" not in again.output


def test_faults_of_every_kind_change_nothing(s3_world: World, undisturbed: Run) -> None:
    rules = (
        Rule("slow_down", fraction=0.02, burst=6),
        Rule("reset", fraction=0.02, burst=2),
        Rule("lost_answer", ("PUT", "POST"), fraction=0.05),
        Rule("truncate", ("GET",), fraction=0.04),
        Rule("stall", fraction=0.01, most=3),
        Rule("stall_midway", ("GET",), fraction=0.03, most=3),
    )
    done = run(s3_world, "disturbed", rules=rules)
    assert "Report: s3://" in done.output, done.output
    assert set(done.faults) == {rule.fault for rule in rules}
    check_same(s3_world, "disturbed")
    more = done.requests - undisturbed.requests
    print(f"requests beyond the undisturbed run: {more}; seconds: {done.seconds:.1f} after")
    print(f"{undisturbed.seconds:.1f}; part files written again: {redone(done)}")


def redone(done: Run) -> int:
    return sum(n - 1 for path, n in done.put.items() if "/parts/" in path)


def test_what_is_forbidden_becomes_error_rows_and_the_rest_is_as_it_was(
    s3_world: World, undisturbed: Run
) -> None:
    forbidden = [key for key in s3_world.keys if "/test/" in key][:4]
    prefix = f"{BUCKET}/{os.path.dirname(forbidden[0])}/"
    assert all(f"{BUCKET}/{key}".startswith(prefix) for key in forbidden)
    rules = (Rule("forbid", ("GET", "HEAD"), prefix=prefix),)
    words = ("max_failed_fraction=0.2", "--until", "embed images")
    done = run(s3_world, "forbidden", *words, rules=rules)
    # twice each, besides the plan's listing and its look at a few pictures
    assert done.faults.keys() == {"forbid"}
    assert done.faults["forbid"] >= 8, done.output
    expected, found = objects(s3_world, "undisturbed"), objects(s3_world, "forbidden")
    infos = check_artifacts(found)
    folder, info = next((f, i) for f, i in infos.items() if i["errors"])
    assert info["counts"]["failed"] == {"forbidden": 4}
    errors = table(found[f"{folder}/errors.parquet"]).to_pylist()
    assert {row["uri"] for row in errors} == {f"s3://{BUCKET}/{key}" for key in forbidden}

    def by_id(of: dict[str, bytes], part_of: dict[str, Any]) -> dict[str, Any]:
        parts = [table(of[f"{folder}/{part['file']}"]) for part in part_of["parts"]]
        return {row["image_id"]: row["embedding"] for part in parts for row in part.to_pylist()}

    before = by_id(expected, json.loads(expected[f"{folder}/artifact.json"]))
    after = by_id(found, info)
    assert before.keys() - after.keys() == {row["id"] for row in errors}
    assert all(before[image_id] == vector for image_id, vector in after.items())


def test_a_training_that_was_killed_goes_on_from_its_state_on_s3(
    s3_world: World, undisturbed: Run
) -> None:
    before = objects(s3_world, "undisturbed")
    for name, data in before.items():
        if name.startswith("artifacts/") and not name.startswith(LATER):
            s3_world.s3.put_object(Bucket=BUCKET, Key=f"killed/{name}", Body=data)
    folder = next(name for name in before if name.startswith(LATER[0])).split("/model/")[0]
    state = f"killed/{'/'.join(folder.split('/')[:3])}/state.pt"
    # Whoever stores the third state waits, and is killed while he does.
    s3_world.proxy.reset(Rule("stall", ("PUT",), prefix=f"{BUCKET}/{state}", skip=2))
    job = start(s3_world, "killed")
    try:
        wait_until(lambda: s3_world.proxy.counts["stall"] > 0, job)
    finally:
        kill(job)
    data = s3_world.s3.get_object(Bucket=BUCKET, Key=state)["Body"].read()
    assert torch.load(io.BytesIO(data), weights_only=True)["step"] == 2 * VALIDATE_EVERY
    again = run(s3_world, "killed")
    assert "Report: s3://" in again.output, again.output
    assert again.put[f"{BUCKET}/{state}"] == NUM_STEPS // VALIDATE_EVERY - 2
    check_same(s3_world, "killed")
    print(f"killed with step {2 * VALIDATE_EVERY} of {NUM_STEPS} stored and {VALIDATE_EVERY} more")
    print(f"done: {VALIDATE_EVERY} steps were done again")


LATER = tuple(f"artifacts/{kind}" for kind in ("finetuned", "classifier", "predictions", "metrics"))
"""The artifacts that the killed run had not yet made."""


def wait_until(condition: Callable[[], bool], job: subprocess.Popen) -> None:
    end = time.monotonic() + RUN_TIMEOUT_S
    while not condition():
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.2)
