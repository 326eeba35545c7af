"""The plan of a sweep: its stages, and its problems before any work."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from gist_ray.errors import UserError
from gist_ray.operate.clean import find_garbage
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig
from gist_ray.sweep.choice import experiment_file, with_replicates
from gist_ray.sweep.config import SweepRun
from gist_ray.sweep.plan import SweepPlan, plan_sweep, print_sweep
from gist_ray.sweep.shared import place, shared_places
from gist_ray.sweep.space import with_params
from gist_ray.sweep.tables import Row, artifacts_of_trials, sweep_folder, write_row
from gist_ray.sweep.trials import Task, task_of
from tests.end_to_end.conftest import TINY_TRIAL
from tests.sweep.conftest import write_sweep

GRID = """
space:
  matching.k: [1, 2, 0]
  study.seeds: [1, 2]
"""


def task_for(words: list[str], folder: Path, text: str = GRID) -> Task:
    write_sweep(folder, "own", text)
    words = ["sweep=own", f"root={folder}/root", *words]
    run: SweepRun = build(SweepRun, compose_values("sweep", words, folder))
    return task_of(run, {})


def test_bad_trials_have_their_problem_in_their_row(tiny_words: list[str], tmp_path: Path) -> None:
    plan = plan_sweep(task_for(tiny_words, tmp_path))
    assert (plan.num_trials, plan.num_left, len(plan.planned)) == (6, 4, 4)
    assert {row["status"] for row in plan.rows.values()} == {"failed"}
    assert all("matching.k=0" in row["error"] for row in plan.rows.values())


def test_a_sweep_without_a_good_trial_is_refused_with_all_problems(
    tiny_words: list[str], tmp_path: Path
) -> None:
    text = "space: {matching.k: [0], finetune.wise_ft: [2.0, 3.0]}"
    with pytest.raises(UserError) as caught:
        plan_sweep(task_for(tiny_words, tmp_path, text))
    told = " ".join(caught.value.problems)
    assert all(problem in told for problem in ("matching.k=0", "wise_ft=2.0", "wise_ft=3.0"))
    assert len(caught.value.problems) == len(set(caught.value.problems)) == 3


def test_a_misspelt_axis_is_told_with_what_was_meant(tiny_words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no such setting. Did you mean learning_rate"):
        plan_sweep(task_for(tiny_words, tmp_path, "space: {finetune.learnin_rate: [0.1]}"))


def test_the_data_are_told_once_for_all_trials(tiny_words: list[str], tmp_path: Path) -> None:
    plan = plan_sweep(task_for(tiny_words, tmp_path, "space: {matching.k: [1, 2]}"))
    assert " images (" in plan.about[0]
    assert len(plan.about) == len(set(plan.about))


def test_a_trial_trains_once(tiny_words: list[str], tmp_path: Path) -> None:
    words = [*tiny_words, "study.trainings=[gist,random]", "study.shots=[1,2]"]
    with pytest.raises(UserError) as caught:
        plan_sweep(task_for(words, tmp_path))
    assert [problem.split("=")[0] for problem in caught.value.problems[:2]] == [
        "study.trainings",
        "study.shots",
    ]


def test_more_at_once_than_there_is_capacity_for_is_refused(
    tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    words = [*tiny_words, "sweep.max_concurrent_trials=1000"]
    with pytest.raises(
        UserError, match="a trial trains on 1 CPUs, and this machine has capacity for"
    ):
        plan_sweep(task_for(words, tmp_path))


def test_a_trial_that_no_machine_here_can_train_fails_alone(
    tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    plan = plan_sweep(task_for(tiny_words, tmp_path, "space: {finetune.num_workers: [1, 4000]}"))
    [row] = plan.rows.values()
    assert "batch_size" in row["error"] or "asks for 4000 CPUs" in row["error"]


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_tracker_that_cannot_write_to_s3_is_told(
    tiny_words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    from gist_ray.sweep.trackers import tracker_problems

    if find_spec(tracker) is None:
        pytest.skip(f"{tracker} is not installed; make test-all installs it")
    for name in ("MLFLOW_TRACKING_URI", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    words = [*tiny_words, f"sweep.trackers=[{tracker}]"]
    assert tracker_problems(task_for(words, tmp_path)) == []
    [problem] = tracker_problems(task_for([*words, "root=s3://bucket/root"], tmp_path))
    assert "in the environment" in problem


def shared_of(plan: SweepPlan) -> set[str]:
    """Names of the stages that are made before the trials."""
    shared = shared_places(plan.planned)
    return {s.name for one in plan.planned for s in one.stages if place(s) in shared}


def test_all_but_trainings_is_made_before_trials_that_share_it(
    tiny_words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_sweep(task_for(tiny_words, tmp_path))
    shared = shared_of(plan)
    assert {"draw pictures", "import texts", "embed images frozen", "match gist"} <= shared
    assert {"sample 2-shot seed 1", "fit linear_probe on frozen 2-shot seed 2"} <= shared
    assert not any(name.startswith(("finetune", "embed images gist")) for name in shared)
    print_sweep(plan)
    shown = capsys.readouterr().out
    assert "6 trials (grid, measured on val), 2 of them with problems" in " ".join(shown.split())
    # a training that two trials share is theirs too
    text = "space: {methods.linear_probe.max_iter: [10, 20]}"
    again = plan_sweep(task_for(tiny_words, tmp_path, text))
    assert len(again.planned) == 2
    assert not any(name.startswith("finetune") for name in shared_of(again))


def test_with_val_no_stage_of_a_trial_reads_test(tiny_words: list[str], tmp_path: Path) -> None:
    plan = plan_sweep(task_for(tiny_words, tmp_path))
    for one in plan.planned:
        kinds = {stage.kind for stage in one.stages}
        assert "classifier" in kinds
        assert not {"predictions", "metrics"} & kinds
        [tuned] = [s for s in one.stages if s.name.startswith("embed images gist")]
        assert tuned.identity["without"] == "test"


def test_with_val_a_trial_fits_the_method_that_it_is_measured_by_and_no_other(
    tiny_words: list[str], tmp_path: Path
) -> None:
    plan = plan_sweep(task_for([*tiny_words, "sweep.method=zero_shot_texts"], tmp_path))
    for one in plan.planned:
        names = {stage.name.partition(" 2-shot")[0] for stage in one.stages}
        assert {name for name in names if name.startswith("fit ")} == {
            "fit zero_shot_texts on frozen",
            "fit zero_shot_texts on gist",
        }
        assert "class names" not in names
        assert "embed class texts gist" in names
    of_probe = plan_sweep(task_for(tiny_words, tmp_path))
    assert not any("texts gist" in s.name for one in of_probe.planned for s in one.stages)


def test_a_method_that_the_run_does_not_have_is_told(tiny_words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.method=sgd_probe: is none of the run's methods"):
        plan_sweep(task_for([*tiny_words, "sweep.method=sgd_probe"], tmp_path))


def test_clean_keeps_what_trials_refer_to(tmp_path: Path) -> None:
    folder = sweep_folder(str(tmp_path), "mine")
    row: Row = {"trial_id": "abc", "status": "ok", "artifacts": ["0123456789abcdef"]}
    write_row(folder, row)
    assert artifacts_of_trials(str(tmp_path), "mine") == {"0123456789abcdef"}
    assert artifacts_of_trials(str(tmp_path), "other") == set()
    for name in ("0123456789abcdef", "fedcba9876543210"):
        artifact = tmp_path / "artifacts" / "finetuned" / name
        artifact.mkdir(parents=True)
        (artifact / "artifact.json").write_text("{}")
    record = tmp_path / "runs" / "mine"
    record.mkdir(parents=True)
    (record / "plan.json").write_text('{"stages": []}')
    [garbage] = find_garbage(str(tmp_path))
    assert garbage.place == ("finetuned", "fedcba9876543210")


def test_the_chosen_file_is_the_chosen_config(tiny_words: list[str], tmp_path: Path) -> None:
    """Also with another layout of data than the default, whose settings must not be mixed in."""
    task = task_for([*tiny_words, "methods=[sgd_probe,linear_probe]"], tmp_path)
    params = {"matching.k": 2, "finetune.learning_rate": 0.01}
    values = with_replicates(with_params(task.base, params, {}), task.sweep)
    folder = {"layout": "image_folder", "path": str(tmp_path)}
    config: RunConfig = build(RunConfig, {**values, "name": "best", "data": folder})
    best: list[Row] = [{"trial_id": "a", "params": params, "val_log_loss": 0.25}]
    choices = {"data": "image_folder", "matching": "mmr"}
    text = experiment_file(
        config,
        task.sweep,
        name="best",
        file="chosen.yaml",
        choices=choices,
        best=best,
        num=3,
    )
    assert text.startswith("# @package _global_\n# Chosen by a sweep among 3 configurations")
    assert yaml.safe_load(text)["matching"]["k"] == 2
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "best.yaml").write_text(text)
    read = build(RunConfig, compose_values("config", ["experiment=best"], tmp_path))
    assert read == config
    assert read.study.seeds == [1, 2]
    assert read.methods.keys() == {"linear_probe", "sgd_probe"}


@pytest.mark.parametrize(
    ("measure", "fraction", "says"),
    [
        ("test", "data.test_fraction=0", r"sweep\.measure=test: .* has none.*sweep\.measure=val"),
        ("val", "data.val_fraction=0", r"sweep\.measure=val: chooses by labelled val images"),
    ],
)
def test_a_sweep_needs_images_of_the_split_that_it_measures(
    measure: str, fraction: str, says: str, tmp_path: Path
) -> None:
    rows = [f"{number}.jpg,{'ab'[number % 2]}" for number in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["image,class_name", *rows]))
    (tmp_path / "texts.json").write_text('{"a": ["A."], "b": ["B."]}')
    words = ["data=manifest", f"data.path={tmp_path}/table.csv", "prompts=generic", fraction]
    words += [f"texts.import_from={tmp_path}/texts.json", *TINY_TRIAL]
    text = f"{{space: {{study.seeds: [1, 2]}}, measure: {measure}}}"
    with pytest.raises(UserError, match=says):
        plan_sweep(task_for([*words, "finetune.select_by=last"], tmp_path, text))
