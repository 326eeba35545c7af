"""Failed rows once more, cut short at every change that a retry makes to the store."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.operate.retry import candidates, retry
from gist_ray.run.flow import run_flow
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.stage import Done, Run, Stage
from gist_ray.run.step import Step
from gist_ray.schema import TRANSIENT_KINDS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter

pytestmark = pytest.mark.usefixtures("rows_inline")

ROWS = pa.table({"id": list("abcdef")})
VALUES = pa.schema([("id", pa.string()), ("value", pa.string())])


@dataclass
class FakeWorld:
    """Stages over rows as `run_rows` makes them, without Ray: fetch -> tune -> score, and `other`
    beside them. What they make of a row depends on how many rows their input has, as weights do
    that are trained on them."""

    broken: dict[str, str] = field(default_factory=dict)
    """Row -> why it fails in `fetch`."""
    worked_on: list[str] = field(default_factory=list)

    def stages(self) -> list[Stage]:
        fetch = stage("fetch", "fetched", self._fetch)
        tune = stage("tune", "tuned", self._derived("fetch"), fetch)
        score = stage("score", "scored", self._derived("tune"), tune)
        return [fetch, tune, score, stage("other", "other", self._other)]

    def _other(self, inputs: object, writer: ArtifactWriter, progress: Progress) -> None:
        writer.write(ROWS)

    def _fetch(self, inputs: object, writer: ArtifactWriter, progress: Progress) -> None:
        self._run(writer, ROWS, "ok", self.broken)

    def _derived(self, source: str) -> Callable[..., None]:
        def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, p: Progress) -> None:
            rows = inputs[source].read()
            version = ",".join(sorted(set(rows.column("value").to_pylist())))
            self._run(writer, rows.select(["id"]), f"{version} of {len(rows)}", {})

        return run

    def _run(
        self, writer: ArtifactWriter, rows: pa.Table, value: str, broken: Mapping[str, str]
    ) -> None:
        def work(block: pa.Table) -> pa.Table:
            ids = block.column("id").to_pylist()
            self.worked_on += ids
            kinds = [broken.get(one, "") for one in ids]
            columns = {"id": ids, "value": [value] * len(ids)}
            return pa.table({**columns, "error_kind": kinds, "error_message": kinds})

        run_rows(
            rows,
            id_column="id",
            steps=[Step(make=lambda: work, batch_format="pyarrow")],
            schema=VALUES,
            writer=writer,
            rows_per_part=2,
            unit="rows",
            progress=Progress(),
        )


def stage(name: str, kind: str, run: Run, *sources: Stage) -> Stage:
    inputs = {source.name: source for source in sources}
    return Stage(name=name, kind=kind, group=name, run=run, inputs=inputs)


def flow(root: str, world: FakeWorld) -> dict[str, Done]:
    store = ArtifactStore(root)
    return run_flow(world.stages(), store, Progress(), num_cpus=1, max_failed_fraction=1)


def try_again(root: str, world: FakeWorld, kinds: Any = TRANSIENT_KINDS) -> int:
    store, progress = ArtifactStore(root), Progress()
    heartbeat = Heartbeat(progress)  # which does not beat
    found = candidates(world.stages(), store, kinds)
    return sum(retry(candidate, store, progress, heartbeat=heartbeat) for candidate in found)


def contents(root: str, world: FakeWorld) -> dict[str, Any]:
    """{stage: rows, errors and counts as readers see them}; None where there is nothing."""
    seen: dict[str, Any] = {}
    for stage in world.stages():
        artifact = ArtifactStore(root).find(stage.kind, stage.fingerprint)
        if artifact is None:
            seen[stage.name] = None
            continue
        rows = sorted(tuple(row.values()) for row in artifact.read().to_pylist())
        errors = sorted((row["id"], row["kind"]) for row in artifact.read_errors().to_pylist())
        seen[stage.name] = (rows, errors, artifact.counts)
    return seen


@pytest.fixture
def world() -> FakeWorld:
    """Where two rows failed for a while and one for good."""
    return FakeWorld({"b": "throttled", "d": "network", "e": "corrupt"})


@pytest.fixture
def root(tmp_path: Path, world: FakeWorld) -> str:
    """After a run in which they did."""
    flow(str(tmp_path / "root"), world)
    world.broken = {"e": "corrupt"}
    world.worked_on.clear()
    return str(tmp_path / "root")


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, Any]:
    """A run in which nothing failed that might not have."""
    world = FakeWorld({"e": "corrupt"})
    flow(str(tmp_path / "undisturbed"), world)
    return contents(str(tmp_path / "undisturbed"), world)


def test_only_transient_failures_are_tried_and_what_depends_on_them_is_made_anew(
    root: str, world: FakeWorld, undisturbed: dict[str, Any]
) -> None:
    assert try_again(root, world) == 2
    assert world.worked_on == ["b", "d"]
    after = contents(root, world)
    assert after["fetch"] == undisturbed["fetch"]
    assert (after["tune"], after["score"]) == (None, None)
    assert after["other"] is not None
    flow(root, world)
    assert contents(root, world) == undisturbed
    assert try_again(root, world) == 0


def test_kinds_can_be_chosen(root: str, world: FakeWorld) -> None:
    assert try_again(root, world, {"network"}) == 1
    assert world.worked_on == ["d"]
    world.worked_on.clear()
    try_again(root, world, None)
    assert world.worked_on == ["b", "e"]


def test_nothing_changes_where_no_row_comes_well(root: str, world: FakeWorld) -> None:
    world.broken = {"b": "throttled", "d": "missing", "e": "corrupt"}
    before = contents(root, world)
    assert try_again(root, world) == 0
    assert contents(root, world) == before
    world.broken = {}
    assert try_again(root, world) == 2


class Killed(BaseException):
    """As kill -9: nothing that would tidy up runs after it."""


class Killer:
    """Dies at the n-th change to the store. A folder that was being deleted is left half."""

    def __init__(self, patch: pytest.MonkeyPatch, dies_at: int) -> None:
        self.changes = 0
        self.dies_at = dies_at
        write, delete = storage.write_bytes, storage.delete

        def dying_write(uri: str, data: bytes) -> None:
            self._count()
            write(uri, data)

        def dying_delete(uri: str) -> None:
            try:
                self._count()
            except Killed:
                files = sorted(file for file in Path(uri).rglob("*") if file.is_file())
                for file in files[: len(files) // 2]:
                    file.unlink()
                raise
            delete(uri)

        patch.setattr(storage, "write_bytes", dying_write)
        patch.setattr(storage, "delete", dying_delete)

    def _count(self) -> None:
        self.changes += 1
        if self.changes == self.dies_at:
            raise Killed


def test_a_retry_that_is_killed_at_any_moment_is_mended_by_a_run_or_a_retry(
    root: str, world: FakeWorld, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    stale = contents(root, world)
    num_changes = dies_at = 0
    while dies_at <= num_changes:
        dies_at += 1
        copy = str(tmp_path / f"killed at {dies_at}")
        shutil.copytree(root, copy)
        with pytest.MonkeyPatch.context() as patch:
            killer = Killer(patch, dies_at)
            try:
                try_again(copy, world)
            except Killed:
                num_changes = dies_at
        # A run makes a whole of it: of the rows as they were, or as they are.
        run_after = str(tmp_path / f"run after {dies_at}")
        shutil.copytree(copy, run_after)
        flow(run_after, world)
        assert contents(run_after, world) in (stale, undisturbed), dies_at
        # A retry gets what there is to get.
        try_again(copy, world)
        flow(copy, world)
        assert contents(copy, world) == undisturbed, dies_at
        try_again(run_after, world)
        flow(run_after, world)
        assert contents(run_after, world) == undisturbed, dies_at
    assert killer.changes < dies_at
    assert num_changes >= 12


def test_what_a_killed_run_began_of_the_dependents_is_not_gone_on_with(
    at: Any, world: FakeWorld, undisturbed: dict[str, Any]
) -> None:
    flow(at.root, world)
    stages = world.stages()
    at.plan("tiny", *stages, silent_s=500)
    tuned, scored = (at.store.find(one.kind, one.fingerprint) for one in stages[1:3])
    Path(tuned.file("artifact.json")).unlink()
    at.store.outdate("scored", scored.fingerprint)
    world.broken = {"e": "corrupt"}
    assert try_again(at.root, world) == 2
    flow(at.root, world)
    assert contents(at.root, world) == undisturbed


def test_another_run_that_is_alive_keeps_what_it_works_with(at: Any, world: FakeWorld) -> None:
    flow(at.root, world)
    at.plan("another", *world.stages(), silent_s=2)
    before = contents(at.root, world)
    world.broken = {}
    with pytest.raises(UserError, match="process 7 on far is running it"):
        try_again(at.root, world)
    assert contents(at.root, world) == before
