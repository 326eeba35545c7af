"""The shipped sweeps, and what is refused of a sweep before any work."""

from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.settings.check import build
from gist_ray.settings.commandline import choices_of_axes, chosen_groups, compose_values
from gist_ray.settings.configs import CONFIGS
from gist_ray.study.config import RunConfig
from gist_ray.sweep.config import SweepRun
from gist_ray.sweep.space import with_params
from gist_ray.sweep.trials import known_trials, sample_trials, task_of

SWEEPS = sorted(file.stem for file in CONFIGS.glob("sweep/*.yaml"))


def configured(*words: str) -> SweepRun:
    run: SweepRun = build(SweepRun, compose_values("sweep", list(words)))
    return run


@pytest.mark.parametrize("name", SWEEPS)
def test_every_trial_of_a_shipped_sweep_has_a_valid_config(name: str) -> None:
    run = configured(f"sweep={name}")
    groups = choices_of_axes(run.sweep.space, "sweep", [f"sweep={name}"])
    task = task_of(run, groups)
    trials = known_trials(run.sweep) or sample_trials(run.sweep)
    for trial in trials:
        config = build(RunConfig, with_params(task.base, trial.params, groups))
        assert len(config.study.trainings) <= 1
        assert len(config.study.seeds) == len(config.study.shots) == 1
    assert len({trial.trial_id for trial in trials}) == len(trials)


def test_k_shots_and_seeds_are_45_trials() -> None:
    assert len(known_trials(configured("sweep=k_shots_seeds").sweep)) == 45


def test_a_space_on_the_command_line_replaces_nothing_but_what_it_names() -> None:
    run = configured("sweep=k_shots_seeds", "sweep.space.matching.k=[2]")
    assert run.sweep.space["matching.k"] == [2]
    assert run.sweep.space["study.seeds"] == [1, 2, 3]


def test_every_problem_of_a_sweep_is_told_at_once() -> None:
    words = [
        "sweep=k_shots_seeds",
        "sweep.space.matching.k=3",
        "sweep.num_trials=0",
        "sweep.trackers=[excel]",
        "finetune.batch_size=1",
    ]
    with pytest.raises(UserError) as caught:
        configured(*words)
    told = "\n".join(caught.value.problems)
    for key in ("matching.k=3: give a list", "sweep.num_trials", "sweep.trackers", "batch_size"):
        assert key in told


def test_a_grid_has_no_range_and_asha_is_not_for_studies() -> None:
    with pytest.raises(UserError, match="search=grid needs a list"):
        configured("sweep=k_shots_seeds", "sweep.space.finetune.learning_rate={uniform:[0.1,1]}")
    with pytest.raises(UserError, match="scheduler=asha stops trials by val"):
        configured("sweep=k_shots_seeds", "sweep.measure=test", "sweep.scheduler=asha")


def test_a_group_is_an_axis_and_keeps_the_users_own_words() -> None:
    words = ["sweep=k_shots_seeds", "finetune=flyp", "finetune.batch_size=128"]
    axes = {"finetune": ["flyp", "butterflies"], "matching.k": [1]}
    groups = choices_of_axes(axes, "sweep", words)
    assert groups.keys() == {"finetune"}
    assert groups["finetune"]["butterflies"]["num_steps"] == 100
    assert groups["finetune"]["butterflies"]["batch_size"] == 128
    with pytest.raises(UserError, match="there is no such choice"):
        choices_of_axes({"finetune": ["flip"]}, "sweep", words)


def test_the_groups_that_a_config_is_made_of_are_known(tmp_path: Path) -> None:
    (tmp_path / "matching").mkdir()
    (tmp_path / "matching" / "mine.yaml").write_text("k: 2\n")
    found = chosen_groups("sweep", ["sweep=k_shots_seeds", "matching=mine"], tmp_path)
    assert found["matching"] == "mine"
    assert found["data"] == "butterflies"
    assert not {"sweep", "experiment"} & found.keys()
