"""A sweep as its engine would leave it, drawn from a seed."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.schema import METRICS, table
from gist_ray.store import storage

TRIALS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("params", pa.string()),
        ("seed", pa.int64()),
        ("shots", pa.int64()),
        ("val_accuracy", pa.float64()),
        ("val_log_loss", pa.float64()),
        ("num_epochs", pa.int64()),
        ("seconds", pa.float64()),
        ("stages_made", pa.int64()),
        ("stages_stored", pa.int64()),
        ("seconds_by_group", pa.string()),
    ]
)
EPOCHS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("epoch", pa.int64()),
        ("train_loss", pa.float64()),
        ("val_score", pa.float64()),
    ]
)
TEST = pa.schema([("trial_id", pa.string()), *METRICS])
SEEDS = (1, 2, 3)


class FakeSweep:
    """Its rows can be changed before `write`. k and shots have an effect, the loss has none."""

    def __init__(self, measure="val", shots=(1, 5), ks=(1, 3, 5, 10), losses=("infonce", "multi")):
        rng = np.random.default_rng(0)
        self.trials, self.epochs, self.test = [], [], []
        for k, loss, shot, seed in itertools.product(ks, losses, shots, SEEDS):
            trial_id = f"t{len(self.trials):03d}"
            score = (
                0.5 + 0.06 * np.log10(k) + 0.03 * (shot or 8) + 0.01 * seed + rng.normal(0, 0.01)
            )
            params = {"matching.k": k, "finetune.loss": loss, "study.seeds": seed}
            self.trials.append(
                {
                    "trial_id": trial_id,
                    "status": "ok",
                    "error": "",
                    "params": {**params, "study.shots": shot or "full"},
                    "seed": seed,
                    "shots": shot,
                    "val_accuracy": float(score),
                    "val_log_loss": float(2 - 2 * score),
                    "num_epochs": 4,
                    "seconds": 20.0 + len(self.trials),
                    "stages_made": 3,
                    "stages_stored": 5,
                    "seconds_by_group": {"finetune": 12.5, "evaluate": 6.25},
                }
            )
            self.epochs += [
                {
                    "trial_id": trial_id,
                    "epoch": epoch,
                    "train_loss": 2 / epoch,
                    "val_score": float(score) - 0.1 / epoch,
                }
                for epoch in range(1, 5)
            ]
        self.info = {
            "name": "tiny-sweep",
            "measure": measure,
            "metric": {"name": "val_log_loss", "mode": "min"},
            "search": "grid",
            "scheduler": {"name": "none"},
            "seeds": list(SEEDS),
            "started": 1795255200.0,
            "ended": 1795257000.0,
            "hardware": {"CPU": 2.0},
            "environment": {"machine": "x86_64, 2 CPUs", "ray": "2.60.0"},
            "seconds": 1800.0,
            "stages": {
                "made": {"finetune": 40, "embed": 1},
                "stored": {"finetune": 2, "embed": 39},
            },
            "chosen": None,
        }
        if measure == "val":
            self.info["chosen"] = {"matching.k": ks[-1], "finetune.loss": losses[-1]}
        tested = self.trials if measure == "test" else self.of(self.info["chosen"])
        for trial in tested:
            self.test += self.metrics(trial)

    def of(self, params):
        return [t for t in self.trials if params.items() <= t["params"].items()]

    def metrics(self, trial):
        """Of the fine-tuned model and of the one as it came."""
        found = []
        params = {"backbone": "tiny", "k": trial["params"].get("matching.k")}
        for features, worse in (("frozen", 0.1), ("gist", 0.02)):
            for metric, scale in (("top1", 1.0), ("macro_f1", 0.97)):
                value = scale * (trial["val_accuracy"] - worse)
                found.append(
                    {
                        "trial_id": trial["trial_id"],
                        "features": features,
                        "method": "linear_probe",
                        "data": "tiny",
                        "shots": trial["shots"],
                        "seed": trial["seed"],
                        "split": "test",
                        "slice": "",
                        "metric": metric,
                        "value": value,
                        "ci_low": value - 0.03,
                        "ci_high": value + 0.03,
                        "num_samples": 600,
                        "params": json.dumps(params),
                    }
                )
        return found

    def write(self, folder, leave_out=()):
        """Returns the folder's address. leave_out: names of files."""
        uri = str(folder)
        trials = [
            {
                **row,
                "params": json.dumps(row["params"], sort_keys=True),
                "seconds_by_group": json.dumps(row["seconds_by_group"]),
            }
            for row in self.trials
        ]
        files = {
            "trials.parquet": table(trials, TRIALS),
            "epochs.parquet": table(self.epochs, EPOCHS),
            "test.parquet": table(self.test, TEST),
        }
        for name, content in files.items():
            if name not in leave_out:
                storage.write_parquet(storage.join(uri, name), content)
        if "sweep.json" not in leave_out:
            storage.write_json(storage.join(uri, "sweep.json"), self.info)
        return uri


@pytest.fixture(scope="session")
def fake_sweep():
    """Call with the arguments of FakeSweep."""
    return FakeSweep
