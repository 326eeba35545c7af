import numpy as np
import pytest

from gist_ray.methods.base.linear_classifier import scaled
from gist_ray.methods.base.text_head import text_head
from gist_ray.methods.lp_plus_plus import LpPlusPlusConfig, fit, fit_on_val
from tests.methods.made import TEST, TRAIN, labelled, problem, unit

HEAD = text_head(problem(), "class")
FEATURES = TRAIN.features.astype(np.float64)
ONE_HOT = np.eye(6)[TRAIN.labels]
COSINES = FEATURES @ HEAD.T


def by_hand(num_epochs: int, *, clear: bool) -> tuple[np.ndarray, np.ndarray]:
    """(weight, alpha) by the formulas in numpy. The bias's random start is added to no logit here,
    so the features have a constant column of no length: its gradient alone is left out."""
    weight = ONE_HOT.T @ FEATURES
    alpha = np.full(6, 250 * (COSINES * ONE_HOT).sum() / 30)
    rate = 4 * 30 / np.linalg.eigvalsh(FEATURES.T @ FEATURES)[-1]
    alpha_rate = 30 / (4 * (COSINES**2 * ONE_HOT).sum(axis=0).max())
    velocity, gathered = np.zeros_like(weight), np.zeros(6)
    for epoch in range(num_epochs):
        logits = FEATURES @ weight.T + alpha * COSINES
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope = (shares / shares.sum(axis=1, keepdims=True) - ONE_HOT) / 30
        velocity = 0.9 * velocity + slope.T @ FEATURES
        weight = weight - rate * velocity
        gathered = gathered + (slope * COSINES).sum(axis=0)
        if (epoch + 1) % 10 == 0:
            alpha = alpha - alpha_rate * gathered
            gathered = np.zeros(6) if clear else gathered
    return weight, alpha


@pytest.mark.parametrize("clear", [False, True])
def test_steps_are_those_of_the_published_formulas(
    clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    # without a bias, whose start is random
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *a, **k: self.zero_())
    monkeypatch.setattr(torch.optim, "SGD", sgd_of_the_first(torch.optim.SGD))
    weight, alpha = by_hand(25, clear=clear)
    found = fit(problem(), LpPlusPlusConfig(num_epochs=25, clear_alpha_gradient=clear))
    np.testing.assert_allclose(found.weight, weight + alpha[:, None] * HEAD, rtol=1e-4, atol=1e-4)


def sgd_of_the_first(sgd):  # type: ignore[no-untyped-def]
    return lambda parameters, **kwargs: sgd(parameters[:1], **kwargs)


def test_without_a_step_it_is_class_sums_and_texts() -> None:
    sums = ONE_HOT.T @ FEATURES
    found = fit(problem(), LpPlusPlusConfig(num_epochs=1))
    alpha = 250 * (COSINES * ONE_HOT).sum() / 30
    # one step moves a weight by less than its rate times the mean of features
    assert np.abs(found.weight - sums - alpha * HEAD).max() < 4
    assert np.abs(found.bias).max() < 1 + 12**-0.5


def test_val_takes_the_last_of_the_best_epochs() -> None:
    """Of random directions, whose predictions change from epoch to epoch."""
    rng = np.random.default_rng(3)
    val = labelled(unit(rng.normal(size=(40, 12))), rng.integers(6, size=40))
    each = [fit(problem(), LpPlusPlusConfig(num_epochs=number)) for number in range(1, 16)]
    correct = [int((one.logits(val.features).argmax(axis=1) == val.labels).sum()) for one in each]
    assert correct[-1] < max(correct)
    best = max(range(15), key=lambda epoch: (correct[epoch], epoch))
    found = fit_on_val(problem(val=val), LpPlusPlusConfig(num_epochs=15))
    np.testing.assert_array_equal(found.weight, each[best].weight)


def test_a_class_without_image_keeps_its_text() -> None:
    kept = TRAIN.labels != 3
    given = problem(train=labelled(TRAIN.features[kept], TRAIN.labels[kept]))
    found = fit(given, LpPlusPlusConfig())
    assert np.isfinite(found.logits(TEST.features)).all()
    cosine = scaled(found.weight, 1.0)[3] @ HEAD[3]
    assert cosine > 0.7
