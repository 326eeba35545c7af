"""Files of a sweep in <root>/sweeps/<name>/: a row per trial, and the tables made of the rows."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import pyarrow as pa

from gist_ray.schema import METRICS, table
from gist_ray.store import storage
from gist_ray.sweep.space import Params

TRIALS_FILE = "trials.parquet"
EPOCHS_FILE = "epochs.parquet"
TEST_FILE = "test.parquet"
SWEEP_FILE = "sweep.json"
CHOSEN_FILE = "chosen.yaml"
ROWS = "trials"
SWEEPS = "sweeps"

TRIALS = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        # ok, failed, stopped (by ASHA) or not_run
        pa.field("status", pa.string(), nullable=False),
        # "" if there is none
        pa.field("error", pa.string(), nullable=False),
        # a JSON object {dotted key: value}, keys sorted
        pa.field("params", pa.string(), nullable=False),
        pa.field("seed", pa.int64()),
        # null: all images
        pa.field("shots", pa.int64()),
        pa.field("val_accuracy", pa.float64()),
        pa.field("val_log_loss", pa.float64()),
        pa.field("num_epochs", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("stages_made", pa.int64(), nullable=False),
        pa.field("stages_stored", pa.int64(), nullable=False),
        # a JSON object {group of stages: seconds of what the trial made itself}
        pa.field("seconds_by_group", pa.string(), nullable=False),
    ]
)

EPOCHS = pa.schema(
    [
        pa.field("trial_id", pa.string(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("train_loss", pa.float64()),
        pa.field("val_score", pa.float64()),
    ]
)

TEST = pa.schema([pa.field("trial_id", pa.string(), nullable=False), *METRICS])

Status = Literal["ok", "failed", "stopped", "not_run", "running"]


class Row(TypedDict, total=False):
    """Content of trials/<trial_id>.json."""

    trial_id: str
    status: Status
    error: str
    params: Params
    seed: int | None
    shots: int | None
    val_accuracy: float | None
    val_log_loss: float | None
    num_epochs: int
    # seconds since 1970
    begun: float
    seconds: float
    made: dict[str, int]
    stored: dict[str, int]
    seconds_by_group: dict[str, float]
    # {epoch, train_loss, val_score}
    epochs: list[dict[str, Any]]
    # METRICS rows of test, with measure=test
    test: list[dict[str, Any]]
    # of all that decides the result: a row with another one is of another config
    fingerprint: str
    # of every stage, so that none is taken for garbage
    artifacts: list[str]


def sweep_folder(root: str, name: str) -> str:
    return storage.join(storage.absolute(root), SWEEPS, name)


def row_uri(folder: str, trial_id: str) -> str:
    return storage.join(folder, ROWS, f"{trial_id}.json")


def write_row(folder: str, row: Row) -> None:
    storage.write_json(row_uri(folder, row["trial_id"]), row)


def read_row(folder: str, trial_id: str) -> Row | None:
    """Returns the row of a trial; None if it is missing or incomplete."""
    try:
        row: Row = storage.read_json(row_uri(folder, trial_id))
        return row
    except (FileNotFoundError, ValueError):
        return None


def read_rows(folder: str) -> list[Row]:
    """Returns the rows of all trials that have begun, in the order of their start."""
    folder_of_rows = storage.join(folder, ROWS)
    names = storage.names_in(folder_of_rows) if storage.exists(folder_of_rows) else []
    ids = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    found = [row for trial_id in ids if (row := read_row(folder, trial_id))]
    begun = [row for row in found if "begun" in row]
    return sorted(begun, key=lambda row: row["begun"])


def artifacts_of_trials(root: str, name: str) -> set[str]:
    """Returns fingerprints of all artifacts that the trials of a sweep made or found; empty if
    there is no such sweep."""
    folder = storage.join(sweep_folder(root, name), ROWS)
    names = storage.names_in(folder) if storage.exists(folder) else []
    rows = [read_row(sweep_folder(root, name), n.removesuffix(".json")) for n in names]
    return {one for row in rows if row for one in row.get("artifacts", [])}


def write_tables(folder: str, rows: Sequence[Row]) -> None:
    """Writes trials.parquet, epochs.parquet and, with measure=test, test.parquet."""
    storage.write_parquet(storage.join(folder, TRIALS_FILE), trials_table(rows))
    epochs = [{"trial_id": r["trial_id"], **e} for r in rows for e in r.get("epochs", [])]
    storage.write_parquet(storage.join(folder, EPOCHS_FILE), table(epochs, EPOCHS))
    if any("test" in row for row in rows):
        tested = [(row["trial_id"], row["test"]) for row in rows if "test" in row]
        storage.write_parquet(storage.join(folder, TEST_FILE), test_table(tested))


def trials_table(rows: Iterable[Row]) -> pa.Table:
    return table(
        [
            {
                "num_epochs": 0,
                "seconds": 0.0,
                "error": "",
                **row,
                "params": json.dumps(row["params"], sort_keys=True),
                "stages_made": sum(row.get("made", {}).values()),
                "stages_stored": sum(row.get("stored", {}).values()),
                "seconds_by_group": json.dumps(row.get("seconds_by_group", {}), sort_keys=True),
            }
            for row in rows
        ],
        TRIALS,
    )


def test_table(tested: Iterable[tuple[str, Iterable[Mapping[str, Any]]]]) -> pa.Table:
    return table([{"trial_id": trial_id, **row} for trial_id, rows in tested for row in rows], TEST)


def by_status(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(str(row["status"]) for row in rows))


def by_group(rows: Iterable[Row], what: Literal["made", "stored"]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row.get(what, {}))
    return dict(total)
