import pytest

from gist_ray.report.sweep.configurations import configurations
from gist_ray.report.sweep.factors import find_factors
from gist_ray.report.sweep.headline import headline
from gist_ray.report.sweep.scores import main_measure
from gist_ray.report.sweep.tables import read_sweep


def told(fake, folder):
    sweep = read_sweep(fake.write(folder))
    measure = main_measure(sweep)
    found = configurations(sweep.trials, measure, 0.95)
    factors = [factor for factor in find_factors(sweep.trials) if factor.key != "study.shots"]
    made = headline(sweep, measure, factors, found=found, accuracies={}, confidence=0.95)
    text = " ".join([made.sentence, *made.explanation]).replace("\N{NO-BREAK SPACE}", " ")
    return made.verdict, text


def set_scores(fake, k, values):
    """values: seed -> val log loss"""
    for trial in fake.of({"matching.k": k}):
        trial["val_log_loss"] = values[trial["seed"]]


@pytest.fixture
def two(fake_sweep):
    return fake_sweep(ks=(1, 10), losses=("infonce",), shots=(5,))


def test_a_lead_that_every_seed_shows_is_called_one(two, tmp_path):
    set_scores(two, 10, {1: 0.50, 2: 0.60, 3: 0.70})
    set_scores(two, 1, {1: 0.60, 2: 0.701, 3: 0.799})
    two.info["chosen"] = {"matching.k": 10}
    verdict, text = told(two, tmp_path)
    assert verdict == "better"
    assert "Chosen of 2 configurations: k 10: val log loss 0.600" in text
    assert "The next best, k 1, has 0.700" in text
    assert "on the same 3 seeds the lead is +0.100 [0.0" in text
    assert "It lies above zero. These 3 seeds could have shown a lead of 0.003 or more." in text


def test_a_lead_within_the_interval_is_not_called_one(two, tmp_path):
    set_scores(two, 10, {1: 0.50, 2: 0.60, 3: 0.70})
    set_scores(two, 1, {1: 0.40, 2: 0.70, 3: 0.75})
    two.info["chosen"] = {"matching.k": 10}
    verdict, text = told(two, tmp_path)
    assert verdict == "undecided"
    assert "includes zero: this sweep does not show that the two differ" in text


def test_test_is_told_beside_the_model_as_it_came(two, tmp_path):
    _, text = told(two, tmp_path)
    assert "read once after the choice: top-1 accuracy of GIST + linear probe" in text
    assert "frozen + linear probe" in text
    assert "a difference of +8.0 points" in text
    for trial in two.test:
        trial["value"] += 0.01 * trial["seed"] * (trial["features"] == "gist")
    assert "(3 seeds could have shown 3.3 points or more)" in told(two, tmp_path)[1]
    two.test = []
    assert "The test images were not looked at." in told(two, tmp_path)[1]


def test_only_what_has_as_many_draws_is_compared(two, tmp_path):
    two.of({"matching.k": 1})[0].update(status="failed", val_log_loss=None)
    verdict, text = told(two, tmp_path)
    assert verdict == "no-interval"
    assert "no other configuration with as many results" in text


def test_one_seed_says_nothing_of_the_spread(two, tmp_path):
    two.trials = [trial for trial in two.trials if trial["seed"] == 1]
    verdict, text = told(two, tmp_path)
    assert verdict == "no-interval"
    assert "may be chance: run more seeds" in text


def test_nothing_chosen_is_said(two, tmp_path):
    two.info |= {"chosen": None, "ended": None}
    assert "Nothing is chosen yet. Ahead so far: k 10" in told(two, tmp_path)[1]
    two.info["ended"] = 1795257000.0
    assert "Nothing was chosen" in told(two, tmp_path)[1]


def test_a_sweep_on_test_chooses_nothing(fake_sweep, tmp_path):
    verdict, text = told(fake_sweep(measure="test"), tmp_path)
    assert verdict == "no-interval"
    assert "Highest of 8 configurations" in text
    assert "Nothing may be chosen by it" in text


def test_no_result_and_no_trial(two, tmp_path):
    for trial in two.trials:
        trial.update(status="failed", val_log_loss=None)
    assert "No trial has a result yet." in told(two, tmp_path)[1]
    two.trials = []
    assert "No trial was started." in told(two, tmp_path)[1]
