"""The status of runs that go on, ended or died, from what lies in the store."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from gist_ray.errors import UserError
from gist_ray.operate.status import RunStatus, StageStatus, read_status
from gist_ray.operate.status_table import headline, run_table
from gist_ray.run.heartbeat import PROGRESS_FILE
from gist_ray.run.stage import Stage
from gist_ray.store import storage

MakeStage = Callable[..., Stage]


def status(root: str, name: str = "tiny") -> RunStatus:
    found = read_status(root, name)
    assert found is not None
    return found


def of(run: RunStatus, name: str) -> StageStatus:
    return next(stage for stage in run.stages if stage.name == name)


def shown(run: RunStatus) -> str:
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        console.print(run_table(run))
    return capture.get()


@pytest.fixture
def flow(make_stage: MakeStage) -> dict[str, Stage]:
    texts = make_stage("generate texts", num_rows=500)
    tunes = [
        make_stage(f"finetune gist 5-shot seed {seed}", texts, group="finetune")
        for seed in range(4)
    ]
    return {stage.name: stage for stage in [texts, *tunes]}


def test_a_run_that_goes_on(at: Any, flow: dict[str, Stage]) -> None:
    texts, first, second, *_ = flow.values()
    at.make(texts, rows=497, failed={"llm_error": 3}, seconds=75)
    at.make(first, seconds=100)
    at.begin(
        second,
        silent_s=2,
        started=time.time() - 40,
        unit="steps",
        done=6,
        total=10,
        rate=0.2,
        values={"loss": 1.234},
    )
    at.plan("tiny", *flow.values(), silent_s=3)
    run = status(at.root)
    assert run.state == "running"
    assert [stage.state for stage in run.stages] == ["stored", "stored", "running"] + 2 * [
        "waiting"
    ]
    tuned = of(run, second.name)
    assert (tuned.done, tuned.total, tuned.rate) == (6, 10, 0.2)
    # four steps at five seconds each, two of which have passed since it said so
    assert tuned.eta_s == pytest.approx(18, abs=5)
    # two more of about (100 + (40 + 18)) / 2 s, one at a time
    assert run.eta_s == pytest.approx(18 + 2 * 79, abs=15)
    table = shown(run)
    assert "tiny: running for 1 min" in table
    assert "no heartbeat" not in table
    assert re.search(r"about [23] min \d+ s left", table)
    lines = table.splitlines()
    texts_line = next(line for line in lines if "generate texts" in line)
    assert "stored in 1 min 15 s" in texts_line
    assert "3 llm_error" in texts_line
    assert "1 stored, 1 running, 2 waiting" in table
    tuning = next(line for line in lines if " gist 5-shot seed 1" in line)
    assert "loss 1.234" in tuning
    assert "6 of 10 steps" in tuning
    assert not any("seed 2" in line for line in lines)


def test_how_long_it_takes_is_not_said_where_nobody_knows(at: Any, flow: dict[str, Stage]) -> None:
    texts, *_ = flow.values()
    at.begin(texts, started=time.time() - 40, done=100, total=500, rate=10.0)
    at.plan("tiny", *flow.values())
    run = status(at.root)
    assert of(run, texts.name).eta_s == pytest.approx(40, abs=5)
    assert run.eta_s == pytest.approx(40, abs=5)
    assert run.unforeseen == ["finetune"]
    assert "s left; not known besides: finetune, of which none has run yet" in headline(run)
    at.end("tiny", "failed")
    at.plan("tiny", *list(flow.values())[1:])
    assert status(at.root).eta_s is None
    assert "; not known: finetune, of which none has run yet" in headline(status(at.root))


def test_a_dead_run(at: Any, flow: dict[str, Stage]) -> None:
    texts, first, *_ = flow.values()
    at.make(texts)
    at.begin(first, silent_s=201, done=4, total=10, rate=0.2, failed={}, unit="steps")
    at.plan("tiny", *flow.values(), silent_s=200)
    run = status(at.root)
    assert run.state == "dead"
    assert of(run, first.name).state == "dead"
    assert (of(run, first.name).done, of(run, first.name).total) == (4, 10)
    assert of(run, first.name).eta_s is None
    assert run.eta_s is None
    assert "tiny: dead, no heartbeat for 3 min" in headline(run)


def test_a_dead_run_that_was_started_again(at: Any, flow: dict[str, Stage]) -> None:
    """The stages that the dead one left are neither running nor the end of this one."""
    _, first, *_ = flow.values()
    at.begin(first, silent_s=500, done=4, total=10)
    at.plan("tiny", *flow.values())
    at.end("tiny", "failed")
    at.plan("tiny", *flow.values(), silent_s=1)
    run = status(at.root)
    assert run.state == "running"
    assert (of(run, first.name).state, of(run, first.name).done) == ("waiting", 4)


def test_runs_that_ended(at: Any, flow: dict[str, Stage]) -> None:
    texts, first, *_ = flow.values()
    at.make(texts, seconds=100)
    at.plan("tiny", *flow.values())
    at.end(
        "tiny",
        "failed",
        "ConnectionError: gone",
        **{first.name: {"state": "failed", "done": 3, "total": 10, "failed": {"network": 1}}},
    )
    run = status(at.root)
    assert (run.state, run.message) == ("failed", "ConnectionError: gone")
    assert of(run, first.name).state == "failed"
    assert dict(of(run, first.name).failed) == {"network": 1}
    assert "after 3 min 20 s\nConnectionError: gone" in headline(run)


def test_stages_that_a_run_stops_before(at: Any, flow: dict[str, Stage]) -> None:
    at.plan("tiny", *flow.values(), until="generate")
    assert {stage.state for stage in status(at.root).stages[1:]} == {"not asked for"}


def test_a_run_of_before_plans_were_kept(at: Any) -> None:
    row = {"key": "a", "stage": "fake", "rows_in": 5, "failed": {}, "seconds": 2.0}
    storage.write_json(f"{at.root}/runs/old/stages.json", [row])
    run = status(at.root, "old")
    assert (run.state, [stage.done for stage in run.stages]) == ("finished", [5])


def test_a_plan_of_an_older_version_is_listed_and_its_stages_are_refused(
    at: Any, flow: dict[str, Stage]
) -> None:
    """Its stages had a key."""
    at.plan("old", *flow.values(), silent_s=200)
    file = f"{at.root}/runs/old/plan.json"
    plan = storage.read_json(file)
    del plan["command"]
    for stage in plan["stages"]:
        stage["key"] = stage.pop("name")
        del stage["group"]
    storage.write_json(file, plan)
    listed = read_status(at.root, "old", with_stages=False)
    assert listed is not None
    assert listed.state == "dead"
    with pytest.raises(UserError, match="runs/old: an older version of gist-ray left this record"):
        read_status(at.root, "old")


def test_a_stage_that_another_run_makes_is_running(at: Any, flow: dict[str, Stage]) -> None:
    texts, *_ = flow.values()
    folder = at.begin(texts, silent_s=1, done=1, total=2)
    at.plan("tiny", *flow.values(), silent_s=500)
    assert of(status(at.root), texts.name).state == "running"
    storage.write_text(f"{folder}/{PROGRESS_FILE}", '{"cut sh')
    assert of(status(at.root), texts.name).state == "waiting"


def test_the_job_lists_runs_and_tells_the_truth_by_its_exit_code(
    at: Any, flow: dict[str, Stage], job: Callable[..., Any]
) -> None:
    at.plan("fine", *flow.values())
    at.plan("lost", *flow.values(), silent_s=200)
    listed = job("status", at.root)
    assert listed.returncode == 0, listed.stderr
    assert "fine" in listed.stdout
    assert "silent for 3 min" in listed.stdout
    assert job("status", at.root, "--run", "fine").returncode == 0
    lost = job("status", at.root, "--run", "lost", "--json")
    assert lost.returncode == 1
    assert json.loads(lost.stdout)["state"] == "dead"
    none = job("status", at.root, "--run", "typo")
    assert none.returncode == 2
    assert "There are: fine, lost." in none.stderr
    assert job("status", f"{at.root}/nowhere").returncode == 2
