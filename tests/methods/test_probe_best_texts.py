from dataclasses import replace

import numpy as np
import pytest

from gist_ray.methods import linear_probe
from gist_ray.methods.base.problem import Split
from gist_ray.methods.probe_best_texts import (
    ProbeBestTextsConfig,
    ProbeBestTextsValConfig,
    fit,
    fit_on_val,
)
from gist_ray.methods.zero_shot_best_texts import ZeroShotBestTextsConfig
from gist_ray.methods.zero_shot_best_texts import fit as fit_texts
from tests.methods.made import TEST, problem

TEXTS = fit_texts(problem(), ZeroShotBestTextsConfig(m=2)).logits(TEST.features)


def test_logits_are_those_of_the_texts_and_weighted_ones_of_the_probe() -> None:
    given = problem(val=Split.none())  # then the linear probe's C is 1, too
    probe = linear_probe.fit(given, linear_probe.LinearProbeConfig()).logits(TEST.features)
    found = fit(given, ProbeBestTextsConfig(m=2, probe_weight=0.25)).logits(TEST.features)
    np.testing.assert_allclose(found, TEXTS + 0.25 * probe, atol=1e-9)


@pytest.mark.parametrize("weight", [0.1, 5.0])
def test_on_val_the_probe_is_the_linear_probe(weight: float) -> None:
    probe = linear_probe.fit(problem(), linear_probe.LinearProbeConfig()).logits(TEST.features)
    config = replace(ProbeBestTextsValConfig(m=2), probe_weights=[weight])
    found = fit_on_val(problem(), config).logits(TEST.features)
    np.testing.assert_allclose(found, TEXTS + weight * probe, atol=1e-9)
