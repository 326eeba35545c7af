"""Whole sweeps on Ray Tune over a tiny world."""

import json
from collections import Counter
from pathlib import Path

import pytest

from gist_ray.operate.clean import find_garbage
from gist_ray.operate.status import read_status
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.study.config import RunConfig
from gist_ray.sweep.tables import EPOCHS, TEST, TRIALS
from tests.sweep.conftest import sweep, write_sweep

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.usefixtures("ray_local"),
]

GRID = """
search: grid
space:
  matching.k: [1, 2, 0]
  study.seeds: [1, 2]
"""

STUDY = """
search: grid
measure: test
space:
  study.trainings: [gist, class_name]
"""

ASHA = """
search: random
scheduler: asha
seed: 1
num_trials: 3
grace_epochs: 1
reduction_factor: 3
trackers: [tensorboard, mlflow, wandb]
space:
  finetune.learning_rate: [1.0e-4, 3.0e-3, 1.0e-2]
"""


OPTUNA = """
search: optuna
num_trials: 2
space:
  methods.linear_probe.feature_scale: {uniform: [1.0, 20.0]}
  methods.linear_probe.max_iter: [100, 1000]
  study.seeds: [1, 2]
"""


def kinds(root: str) -> Counter[str]:
    """How many artifacts of every kind are finished."""
    return Counter(file.parents[1].name for file in Path(root).rglob("artifact.json"))


def rows_of(root: str, name: str) -> list[dict[str, object]]:
    table = storage.read_parquet(f"{root}/sweeps/{name}/trials.parquet")
    assert table.schema == TRIALS
    rows: list[dict[str, object]] = table.to_pylist()
    return rows


@pytest.fixture(scope="module")
def words(tiny_words: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*tiny_words, f"root={tmp_path_factory.mktemp('root')}"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sweeps of one's own."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in (("grid", GRID), ("study", STUDY), ("asha", ASHA), ("optuna", OPTUNA)):
        write_sweep(folder, name, text)
    return folder


@pytest.fixture(scope="module")
def root(words: list[str], own: Path) -> str:
    """The root of a finished sweep by val, of which two trials are bad."""
    found: str = sweep([*words, "sweep=grid", "name=grid"], own).root
    return found


def test_bad_trials_fail_with_the_configs_own_words_and_the_others_go_on(root: str) -> None:
    rows = rows_of(root, "grid")
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["failed"] * 2
    assert all("matching.k=0: Input should be greater" in str(row["error"]) for row in rows[4:])
    assert [json.loads(str(row["params"])) for row in rows[:2]] == [
        {"matching.k": 1, "study.seeds": 1},
        {"matching.k": 1, "study.seeds": 2},
    ]
    assert all(0 <= float(str(row["val_accuracy"])) <= 1 for row in rows[:4])
    assert [(row["seed"], row["shots"]) for row in rows[:4]] == [(1, 2), (2, 2)] * 2


def test_what_trials_share_is_made_once(root: str) -> None:
    found = kinds(root)
    # of the classes, and their names; embedded by the model as it came and, to be measured on
    # test, by the two that were tuned on what was chosen
    assert found["texts"] == 2
    assert found["text_embeddings"] == 2 * (1 + 2)
    assert found["matches"] == 2
    assert found["finetuned"] == 4
    pretrained = [
        file
        for file in Path(root).glob("artifacts/image_embeddings/*/artifact.json")
        if "tuned" not in json.loads(file.read_text())["inputs"]
    ]
    assert len(pretrained) == 1


def test_test_is_read_once_for_the_chosen_configuration(root: str) -> None:
    summary = storage.read_json(f"{root}/sweeps/grid/sweep.json")
    assert summary["num_trials"] == {"ok": 4, "failed": 2}
    by_loss: dict[int, list[float]] = {}
    for row in rows_of(root, "grid")[:4]:
        k = json.loads(str(row["params"]))["matching.k"]
        by_loss.setdefault(k, []).append(float(str(row["val_log_loss"])))
    assert summary["chosen"] == {"matching.k": min(by_loss, key=lambda k: sum(by_loss[k]))}
    test = storage.read_parquet(f"{root}/sweeps/grid/test.parquet")
    assert test.schema == TEST
    chosen = [
        row["trial_id"]
        for row in rows_of(root, "grid")
        if json.loads(str(row["params"]))["matching.k"] == summary["chosen"]["matching.k"]
    ]
    assert set(test.column("trial_id").to_pylist()) == set(chosen)
    # of two seeds, the model as it came and the tuned one; and what is the same for both seeds
    assert kinds(root)["metrics"] == 5


def test_the_chosen_experiment_runs_and_finds_everything_stored(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = storage.read_text(f"{root}/sweeps/grid/chosen.yaml")
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(text)
    config = build(RunConfig, compose_values("config", ["experiment=best"], tmp_path))
    assert config.study.seeds == [1, 2]
    assert config.root == root

    from gist_ray.run.run_job import run_job
    from gist_ray.study.job import study_job

    def never(*arguments: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("gist_ray.finetune.stage.train_clip", never)
    monkeypatch.setattr("gist_ray.encoders.embedded.embed_image_rows", never)
    run_job(study_job(config), until="measure")


def test_a_finished_sweep_runs_nothing_again(
    root: str, words: list[str], own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(root, "grid")

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("a trial ran again")

    monkeypatch.setattr("gist_ray.sweep.sweep.tune_trials", never)
    sweep([*words, "sweep=grid", "name=grid"], own)
    assert rows_of(root, "grid") == before


def test_epochs_are_kept_and_the_rest_of_the_program_knows_the_sweep(root: str) -> None:
    epochs = storage.read_parquet(f"{root}/sweeps/grid/epochs.parquet")
    assert epochs.schema == EPOCHS
    assert len(set(epochs.column("trial_id").to_pylist())) == 4
    status = read_status(root, "grid")
    assert status is not None
    assert status.state == "finished"
    assert all(stage.state == "stored" for stage in status.stages)
    assert find_garbage(root) == []
    assert any(one.place for one in find_garbage(root, forget="grid"))


def test_a_study_measures_every_trial_on_test(words: list[str], own: Path, root: str) -> None:
    sweep([*words, "sweep=study", "name=study"], own)
    rows = rows_of(root, "study")
    assert [row["status"] for row in rows] == ["ok", "ok"]
    test = storage.read_parquet(f"{root}/sweeps/study/test.parquet").to_pylist()
    pairs = {(row["trial_id"], row["features"], row["method"]) for row in test}
    for row, training in zip(rows, ("gist", "class_name"), strict=True):
        assert (row["trial_id"], training, "linear_probe") in pairs
        assert (row["trial_id"], "frozen", "linear_probe") in pairs
    assert all(row["split"] == "test" and row["ci_low"] is not None for row in test)
    assert not Path(root, "sweeps/study/chosen.yaml").exists()


@pytest.fixture(scope="module")
def stopped_early(words: list[str], own: Path, root: str) -> str:
    """The folder of a sweep with ASHA and all trackers."""
    long = ["finetune.num_steps=null", "finetune.num_epochs=60", "finetune.validate_every_steps=1"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "WANDB_DIR", "WANDB_API_KEY", "WANDB_MODE"):
            patch.delenv(name, raising=False)
        sweep([*words, *long, "sweep=asha", "name=asha"], own)
    return f"{root}/sweeps/asha"


def test_asha_stops_a_training_that_lags_behind(root: str, stopped_early: str) -> None:
    rows = rows_of(root, "asha")
    stopped = [row for row in rows if row["status"] == "stopped"]
    assert 1 <= len(stopped) < len(rows)
    assert all(0 < int(str(row["num_epochs"])) < 60 for row in stopped)
    assert all(row["num_epochs"] == 60 for row in rows if row["status"] == "ok")
    epochs = Counter(
        storage.read_parquet(f"{stopped_early}/epochs.parquet").column("trial_id").to_pylist()
    )
    assert all(epochs[row["trial_id"]] == row["num_epochs"] for row in rows)


def test_tensorboard_opens_what_is_left_for_it(root: str, stopped_early: str) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = rows_of(root, "asha")
    for row in rows:
        events = EventAccumulator(f"{stopped_early}/tensorboard/{row['trial_id']}").Reload()
        losses = events.Scalars("ray/tune/train_loss")
        assert len(losses) == row["num_epochs"]
        assert {"ray/tune/val_score", "ray/tune/epoch"} <= set(events.Tags()["scalars"])


def test_mlflow_knows_every_trial(root: str, stopped_early: str) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{stopped_early}/mlflow.db")
    experiment = client.get_experiment_by_name("asha")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    rows = {row["trial_id"]: row for row in rows_of(root, "asha")}
    assert runs.keys() == rows.keys()
    for trial_id, row in rows.items():
        rate = json.loads(str(row["params"]))["finetune.learning_rate"]
        assert float(runs[trial_id].data.params["params/finetune.learning_rate"]) == rate
        assert len(client.get_metric_history(runs[trial_id].info.run_id, "train_loss")) > 0


def test_wandb_is_written_offline(root: str, stopped_early: str) -> None:
    kept = list(Path(stopped_early, "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(kept) == len(rows_of(root, "asha"))
    assert all(file.stat().st_size > 0 for file in kept)


def test_optuna_goes_on_from_what_it_has_seen(words: list[str], own: Path, root: str) -> None:
    """The trainings are stored, so that only probes are fitted."""
    trainings = kinds(root)["finetuned"]
    chosen = [*words, "matching.k=1", "sweep=optuna", "name=optuna"]
    sweep(chosen, own)
    first = rows_of(root, "optuna")
    assert [row["status"] for row in first] == ["ok"] * 4
    assert [row["seed"] for row in first] == [1, 2, 1, 2]
    sweep([*chosen, "sweep.num_trials=3"], own)
    rows = rows_of(root, "optuna")
    assert rows[:4] == first
    assert len(rows) == 6
    assert kinds(root)["finetuned"] == trainings
