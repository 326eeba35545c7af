import numpy as np
import pytest

from gist_ray.methods.base.linear_classifier import by_cosine
from gist_ray.methods.base.text_head import text_head
from gist_ray.methods.base.text_initialised import TextInitialisedConfig, rate_of, train_head
from gist_ray.methods.clap import fit as fit_clap
from gist_ray.methods.clap import penalties_of
from gist_ray.methods.zs_lp import fit as fit_zs_lp
from tests.methods.made import LOGIT_SCALE, TEST, TRAIN, labelled, problem

CONFIG = TextInitialisedConfig()
ZERO_SHOT = by_cosine(text_head(problem(), "class"), LOGIT_SCALE).logits(TEST.features)
NOTHING, MUCH = np.zeros(6), np.full(6, 0.5)


def test_the_step_is_small_in_the_first_epoch_and_then_a_cosine() -> None:
    rates = [rate_of(epoch, CONFIG) for epoch in (0, 1, 151)]
    assert rates == pytest.approx([1e-5, 0.1, 0.05])
    assert 0 < rate_of(299, CONFIG) < 1e-4


def test_it_starts_as_zero_shot() -> None:
    found = train_head(problem(), TextInitialisedConfig(num_epochs=1), NOTHING)
    np.testing.assert_allclose(found.logits(TEST.features), ZERO_SHOT, atol=1e-3)


def test_training_fits_the_images_and_a_penalty_holds_the_texts() -> None:
    free, held = (
        train_head(problem(), CONFIG, lambdas).logits(TEST.features) for lambdas in (NOTHING, MUCH)
    )
    assert np.abs(free - ZERO_SHOT).mean() > 2 * np.abs(held - ZERO_SHOT).mean()
    wrong = problem(train=labelled(TRAIN.features, (TRAIN.labels + 1) % 6))
    trained = train_head(wrong, TextInitialisedConfig(learning_rate=10.0), NOTHING)
    assert (trained.logits(TRAIN.features).argmax(1) == wrong.train.labels).mean() > 0.9


def test_the_penalty_is_the_mean_zero_shot_probability_of_the_class() -> None:
    given = problem(
        train=labelled(TRAIN.features[TRAIN.labels < 5], TRAIN.labels[TRAIN.labels < 5])
    )
    logits = by_cosine(text_head(given, "class"), LOGIT_SCALE).logits(given.train.features)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = penalties_of(given, CONFIG)
    for label in range(5):
        own = given.train.labels == label
        assert found[label] == pytest.approx(shares[own, label].mean())
    assert found[5] == 1.0


def test_clap_is_the_probe_with_that_penalty() -> None:
    given = problem()
    wanted = train_head(given, CONFIG, penalties_of(given, CONFIG))
    np.testing.assert_array_equal(fit_clap(given, CONFIG).weight, wanted.weight)
    assert not np.array_equal(fit_zs_lp(given, CONFIG).weight, wanted.weight)
