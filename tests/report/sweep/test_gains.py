"""Gains of configurations, each with its power and corrected for their number."""

import pytest
from scipy import stats

from gist_ray.report.sweep.configurations import configurations
from gist_ray.report.sweep.gains import shown_gains
from gist_ray.report.sweep.page import render
from gist_ray.report.sweep.scores import gain_measure
from gist_ray.report.sweep.tables import read_sweep


def test_a_gain_that_does_not_stand_the_correction_is_called_so(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1, 3), losses=("infonce",), shots=(5,), measure="test")
    gains = {1: {1: 0.02, 2: 0.021, 3: 0.022}, 3: {1: 0.01, 2: 0.05, 3: 0.09}}
    frozen = {
        row["trial_id"]: row["value"]
        for row in fake.test
        if (row["features"], row["metric"]) == ("frozen", "top1")
    }
    of_k = {trial["trial_id"]: trial["params"]["matching.k"] for trial in fake.trials}
    for row in fake.test:
        if (row["features"], row["metric"]) == ("gist", "top1"):
            row["value"] = frozen[row["trial_id"]] + gains[of_k[row["trial_id"]]][row["seed"]]
    sweep = read_sweep(fake.write(tmp_path))
    found = configurations(sweep.trials, gain_measure(sweep), 0.95)
    shown = {one.params["matching.k"]: shown_gains(found, 0.95)[one.key] for one in found}
    assert (shown[1].stands, shown[3].stands) == (True, False)
    for k, of_seed in gains.items():
        # of Student's t over three draws
        expected = 5.6535 * stats.sem(list(of_seed.values()))
        assert shown[k].detectable == pytest.approx(expected, rel=1e-3)
    html = render(sweep, "tiny")
    assert "the 2 gains that are looked at" in html
    assert "13.1 points or more<small>not after correction" in html
