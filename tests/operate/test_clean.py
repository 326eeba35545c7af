"""Garbage goes from a store, and all else stays."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.operate.clean import find_garbage, remove
from gist_ray.operate.inventory import places
from gist_ray.run.stage import Stage
from gist_ray.store import folders, storage


def clean(root: str, forget: str | None = None) -> list[str]:
    """Clean, and say what went."""
    found = find_garbage(root, forget)
    remove(root, found)
    return sorted(one.why for one in found)


@pytest.fixture
def used(at: Any, make_stage: Callable[..., Stage]) -> Stage:
    """A stage with an artifact, which the run `tiny` refers to."""
    stage: Stage = make_stage("used")
    at.make(stage)
    at.plan("tiny", stage, silent_s=500)
    return stage


def test_what_runs_refer_to_stays_and_the_rest_goes(
    at: Any, used: Stage, make_stage: Callable[..., Stage]
) -> None:
    finished, planned, begun, ended = map(make_stage, ["orphan", "planned", "begun", "ended"])
    at.make(finished)
    at.make(ended)
    at.begin(planned, silent_s=500)
    at.begin(begun, silent_s=500)
    at.plan("dead", planned, silent_s=500)
    row = {"name": "ended", "kind": "fake", "fingerprint": ended.fingerprint}
    storage.write_json(f"{at.root}/runs/of before plans/stages.json", [row])
    found = find_garbage(at.root)
    assert {one.place for one in found} == {
        ("fake", finished.fingerprint),
        ("fake", begun.fingerprint),
    }
    assert all(one.num_bytes > 100 for one in found)
    assert len(places(at.root)) == 5  # so far nothing was touched
    assert clean(at.root) == ["begun, and no run refers to it", "no run refers to it"]
    left = {("fake", stage.fingerprint) for stage in (used, planned, ended)}
    assert set(places(at.root)) == left
    assert clean(at.root) == []


def test_what_somebody_alive_is_making_stays(
    at: Any, used: Stage, make_stage: Callable[..., Stage]
) -> None:
    at.begin(make_stage("of a run that just begins"), silent_s=1)
    assert clean(at.root) == []


def test_what_a_config_names_stays(at: Any, used: Stage, make_stage: Callable[..., Stage]) -> None:
    model = make_stage("pretrain")
    uri = at.make(model).uri
    storage.write_text(f"{at.root}/runs/tiny/config.yaml", f"clip:\n  model: local-dir:{uri}/model")
    assert clean(at.root) == []


def test_temporary_files_of_the_dead_go(at: Any, used: Stage) -> None:
    folder = Path(at.writer(used).uri)
    old, young = folder / "parts" / "a.parquet.0.tmp", folder / "b.tmp"
    old.parent.mkdir()
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 1e4,) * 2)
    assert clean(at.root) == ["begun, and never finished"]
    assert (old.exists(), young.exists()) == (False, True)
    assert at.store.find(used.kind, used.fingerprint) is not None


@pytest.mark.parametrize("broken", ["", "{", "[1]", '{"stages": 3}', '{"stages": [{}]}'])
def test_nothing_goes_while_a_run_cannot_be_read(
    at: Any, used: Stage, make_stage: Callable[..., Stage], broken: str
) -> None:
    at.make(make_stage("orphan"))
    file = Path(at.root) / "runs" / "broken" / "plan.json"
    file.parent.mkdir()
    if broken:
        file.write_text(broken)
    with pytest.raises(UserError, match=r"runs/broken"):
        find_garbage(at.root)


def test_nothing_outside_the_store_is_touched(at: Any, used: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "data" / "0123456789abcdef"
    outside.mkdir(parents=True)
    (outside / "picture.jpg").write_bytes(b"mine")
    kinds = Path(at.root) / "artifacts" / "fake"
    (kinds / "0123456789abcdef").symlink_to(outside, target_is_directory=True)
    (kinds.parent / "linked").symlink_to(outside.parent, target_is_directory=True)
    (kinds / "my notes").mkdir()
    (Path(at.root) / "something else").mkdir()
    assert clean(at.root) == []
    assert (outside / "picture.jpg").exists()
    assert (kinds / "my notes").exists()
    assert (Path(at.root) / "something else").exists()


def test_a_run_can_go_with_what_only_it_used(
    at: Any, used: Stage, make_stage: Callable[..., Stage], job: Callable[..., Any]
) -> None:
    own = make_stage("own", used)
    at.make(own)
    at.plan("other", used, own, silent_s=500)
    dry = job("clean", at.root, "--run", "other", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert own.fingerprint in dry.stdout
    assert len(places(at.root)) == 2
    assert job("clean", at.root, "--run", "other").returncode == 0
    assert places(at.root) == [("fake", used.fingerprint)]
    assert folders.folders_in(f"{at.root}/runs") == ["tiny"]
    unknown = job("clean", at.root, "--run", "../../etc")
    assert unknown.returncode == 2
    assert "There are: tiny." in unknown.stderr


def test_a_run_that_is_alive_cannot_go(at: Any, used: Stage) -> None:
    at.plan("tiny", used, silent_s=1)
    with pytest.raises(UserError, match="process 7 on far is running it"):
        find_garbage(at.root, forget="tiny")
