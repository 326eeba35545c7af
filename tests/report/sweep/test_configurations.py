import pytest

from gist_ray.report.sweep.configurations import configurations, find_chosen
from gist_ray.report.sweep.scores import main_measure
from gist_ray.report.sweep.tables import read_sweep


def found_in(sweep):
    return configurations(sweep.trials, main_measure(sweep), 0.95)


def test_seeds_and_shots_repeat_one_configuration(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1, 10), losses=("infonce",))
    best, worse = found_in(read_sweep(fake.write(tmp_path)))
    assert (best.params, worse.params) == (
        {"matching.k": 10, "finetune.loss": "infonce"},
        {"matching.k": 1, "finetune.loss": "infonce"},
    )
    members = fake.of({"matching.k": 10})
    assert best.mean == pytest.approx(sum(t["val_log_loss"] for t in members) / 6)
    # over the three seeds, shots averaged within each
    assert list(best.by_unit) == [1, 2, 3]
    of_seed = [t["val_log_loss"] for t in members if t["seed"] == 2]
    assert best.by_unit[2] == pytest.approx(sum(of_seed) / 2)
    assert best.low < best.mean < best.high
    assert set(best.by_shots) == {"1", "5"}


def test_whole_ones_come_before_those_that_lack_draws(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1, 10), losses=("infonce",))
    broken = fake.of({"matching.k": 10})[0]
    broken.update(status="failed", val_log_loss=None, error="no space left")
    first, second = found_in(read_sweep(fake.write(tmp_path)))
    assert (first.params["matching.k"], first.complete) == (1, True)
    assert (second.num_scored, second.complete) == (5, False)
    assert second.statuses == [("ok", 5), ("failed", 1)]
    assert second.errors == ["no space left"]


def test_a_stopped_trial_has_no_score_though_it_has_a_number(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1,), losses=("infonce",))
    for trial in fake.trials:
        trial["status"] = "stopped"
    [one] = found_in(read_sweep(fake.write(tmp_path)))
    assert (one.mean, one.num_scored) == (None, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_no_number_is_no_score(fake_sweep, tmp_path, value):
    fake = fake_sweep(ks=(1, 10), losses=("infonce",))
    fake.of({"matching.k": 10})[0]["val_log_loss"] = value
    _, second = found_in(read_sweep(fake.write(tmp_path)))
    assert (second.params["matching.k"], second.num_scored) == (10, 5)


def test_an_interval_does_not_leave_what_is_possible(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1,), losses=("infonce",), shots=(5,))
    fake.info["metric"] = {"name": "val_accuracy", "mode": "max"}
    for trial in fake.trials:
        trial["val_accuracy"] = 1.0 if trial["seed"] == 1 else 0.7
    [one] = found_in(read_sweep(fake.write(tmp_path)))
    assert (one.mean, one.high) == (pytest.approx(0.8), 1.0)
    assert 0 < one.low < 0.5


def test_one_seed_has_no_interval(fake_sweep, tmp_path):
    fake = fake_sweep()
    fake.trials = [trial for trial in fake.trials if trial["seed"] == 1]
    assert {(one.low, one.high) for one in found_in(read_sweep(fake.write(tmp_path)))} == {
        (None, None)
    }


def test_chosen_is_found_by_its_params(fake_sweep, tmp_path):
    fake = fake_sweep()
    sweep = read_sweep(fake.write(tmp_path))
    assert find_chosen(sweep, found_in(sweep)).params == fake.info["chosen"]
    fake.info["chosen"] = {"matching.k": 7}
    sweep = read_sweep(fake.write(tmp_path))
    assert find_chosen(sweep, found_in(sweep)) is None


def test_on_test_the_fine_tuned_model_counts(fake_sweep, tmp_path):
    fake = fake_sweep(measure="test")
    scores = main_measure(read_sweep(fake.write(tmp_path))).scores
    trial = fake.trials[0]
    assert scores[trial["trial_id"]].value == pytest.approx(trial["val_accuracy"] - 0.02)
    # a trial that only measured the model as it came
    fake.test = [row for row in fake.test if row["features"] == "frozen"]
    scores = main_measure(read_sweep(fake.write(tmp_path))).scores
    assert scores[trial["trial_id"]].value == pytest.approx(trial["val_accuracy"] - 0.1)
