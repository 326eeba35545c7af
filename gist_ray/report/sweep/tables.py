"""Tables of a sweep, read from its folder. An unfinished sweep has some of them only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gist_ray.errors import UserError
from gist_ray.store import storage

STATUSES = ("ok", "stopped", "failed", "running", "not_run")
SHOTS, SEEDS = "study.shots", "study.seeds"
"""Keys of the trials' columns `shots` and `seed`, which repeat a configuration."""
WORLDS = "data.seed"
"""Key of the world: a data set with its own species, texts and test images."""


@dataclass(frozen=True)
class Trial:
    """One row of trials.parquet. Scores are as in the table: accuracy from 0 to 1."""

    trial_id: str
    status: str
    error: str
    # dotted key -> value, always with `study.shots` and never with the seed or the unit
    params: Mapping[str, Any]
    seed: int
    # the seed or the world: trials of different ones are independent of each other
    unit: int
    val: Mapping[str, float | None]
    num_epochs: int
    seconds: float
    stages_made: int
    stages_stored: int
    seconds_by_group: Mapping[str, float]


@dataclass(frozen=True)
class Epoch:
    epoch: int
    train_loss: float | None
    val_score: float | None


@dataclass(frozen=True)
class Sweep:
    """All tables of a sweep; missing ones are empty."""

    info: Mapping[str, Any]
    trials: list[Trial]
    # seed, or world where a sweep that measures test has several: what intervals are over
    unit: str = "seed"
    # trial_id -> its epochs, rising
    epochs: Mapping[str, list[Epoch]] = field(default_factory=dict)
    # METRICS rows with trial_id, of the first test set
    test: list[dict[str, Any]] = field(default_factory=list)


def read_sweep(folder: str) -> Sweep:
    """Returns the tables of the sweep in `folder`. Raises UserError if there is none, or if a file
    cannot be read."""
    info_uri = storage.join(folder, "sweep.json")
    info = storage.read_json(info_uri) if storage.exists(info_uri) else {}
    trials = _rows(folder, "trials.parquet")
    if not info and not trials:
        raise UserError(
            f"{folder}: no sweep here, neither sweep.json nor trials.parquet. Give the folder "
            "<root>/sweeps/<name> of a sweep that was started."
        )
    epochs: dict[str, list[Epoch]] = {}
    for row in sorted(_rows(folder, "epochs.parquet"), key=lambda row: row["epoch"]):
        found = Epoch(row["epoch"], row.get("train_loss"), row.get("val_score"))
        epochs.setdefault(row["trial_id"], []).append(found)
    made = [_trial(row) for row in trials]
    worlds = {trial.params[WORLDS] for trial in made if isinstance(trial.params.get(WORLDS), int)}
    unit = "seed"
    if info.get("measure") == "test" and len(worlds) > 1:
        unit, made = "world", [_in_its_world(trial) for trial in made]
    return Sweep(info, made, unit, epochs, _on_first_test_set(_rows(folder, "test.parquet")))


def _on_first_test_set(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows on all images of "test", or of the first test/NAME if there is no such
    split."""
    first = min((row["split"] for row in rows), default="test")
    return [row for row in rows if row["split"] == first and not row["slice"]]


def _rows(folder: str, name: str) -> list[dict[str, Any]]:
    uri = storage.join(folder, name)
    if not storage.exists(uri):
        return []
    try:
        rows: list[dict[str, Any]] = storage.read_parquet(uri).to_pylist()
    except (ValueError, OSError) as error:
        raise UserError(
            f"{uri}: cannot be read ({error}). The sweep writes it anew when it goes on."
        ) from error
    return rows


def _trial(row: Mapping[str, Any]) -> Trial:
    params = json.loads(row["params"] or "{}")
    shots = row.get("shots")
    return Trial(
        trial_id=row["trial_id"],
        status=row["status"],
        error=row.get("error") or "",
        params={key: value for key, value in params.items() if key != SEEDS}
        | {SHOTS: "full" if shots is None else shots},
        # none: a trial that was never set up
        seed=row.get("seed") or 0,
        unit=row.get("seed") or 0,
        val={name: value for name, value in row.items() if name.startswith("val_")},
        num_epochs=row.get("num_epochs") or 0,
        seconds=row.get("seconds") or 0.0,
        stages_made=row.get("stages_made") or 0,
        stages_stored=row.get("stages_stored") or 0,
        seconds_by_group=json.loads(row.get("seconds_by_group") or "{}"),
    )


def _in_its_world(trial: Trial) -> Trial:
    """Returns the trial with its world as unit: draws of one world share texts and test images, so
    only worlds are independent."""
    params = {key: value for key, value in trial.params.items() if key != WORLDS}
    return replace(trial, params=params, unit=trial.params.get(WORLDS, 0))
