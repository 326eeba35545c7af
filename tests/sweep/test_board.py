"""The tables that a sweep writes while it goes on."""

import json
from pathlib import Path

from gist_ray.report.sweep.tables import read_sweep
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.sweep.board import Board
from gist_ray.sweep.config import SweepConfig
from gist_ray.sweep.tables import EPOCHS, TRIALS, Row
from gist_ray.sweep.trials import Task, known_trials

SWEEP = SweepConfig(space={"matching.k": [1, 2], "study.shots": [1, "full"]})


def board_of(root: Path) -> Board:
    base = {"name": "mine", "root": str(root), "study": {"shots": [1], "seeds": [7]}}
    trials = known_trials(SWEEP)
    return Board(Task(base, {}, SWEEP), trials, num_trials=len(trials), progress=Progress())


def ended(board: Board, at: int, **values: object) -> Row:
    row: Row = {**board.rows[at], "status": "ok", "made": {"finetune": 1}, **values}  # type: ignore[typeddict-item]
    board.ended(row)
    return row


def test_the_tables_of_a_sweep_that_goes_on_have_a_row_for_every_trial(tmp_path: Path) -> None:
    board = board_of(tmp_path)
    epochs = [{"epoch": 3, "train_loss": 0.5, "val_score": -0.2}]
    ended(board, 1, val_log_loss=0.4, val_accuracy=0.75, epochs=epochs, num_epochs=3)
    ended(board, 2, status="failed", error="k is too large")
    board.write()
    table = storage.read_parquet(f"{tmp_path}/sweeps/mine/trials.parquet")
    assert table.schema == TRIALS
    rows = table.to_pylist()
    assert [row["status"] for row in rows] == ["not_run", "ok", "failed", "not_run"]
    assert [(row["shots"], row["seed"]) for row in rows] == [(1, 7), (None, 7)] * 2
    assert json.loads(rows[1]["params"]) == {"matching.k": 1, "study.shots": "full"}
    assert rows[1]["stages_made"] == 1
    found = storage.read_parquet(f"{tmp_path}/sweeps/mine/epochs.parquet")
    assert found.schema == EPOCHS
    assert found.to_pylist() == [{"trial_id": rows[1]["trial_id"], **epochs[0]}]
    sweep = read_sweep(f"{tmp_path}/sweeps/mine")  # the report understands them
    assert [trial.status for trial in sweep.trials] == [row["status"] for row in rows]
    assert sweep.info["ended"] is None
    assert sweep.info["num_trials"] == {"not_run": 2, "ok": 1, "failed": 1}


def test_what_earlier_starts_took_and_made_counts(tmp_path: Path) -> None:
    first = board_of(tmp_path)
    first.note_shared({"made": {"embed images": 1, "match": 2}})
    first.write()
    summary = f"{tmp_path}/sweeps/mine/sweep.json"
    before = storage.read_json(summary)
    storage.write_json(summary, {**before, "seconds": 100.0, "started": 5.0})
    second = board_of(tmp_path)
    second.note_shared({"made": {"match": 1}})
    ended(second, 0)
    second.write(chosen={"matching.k": 1}, is_over=True)
    after = storage.read_json(summary)
    assert after["started"] == 5.0
    assert after["seconds"] > 100
    assert after["stages"]["made"] == {"embed images": 1, "match": 3, "finetune": 1}
    assert after["chosen"] == {"matching.k": 1}
    assert after["ended"] is not None
