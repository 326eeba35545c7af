import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from gist_ray.errors import UserError
from gist_ray.methods import sgd_probe
from gist_ray.methods.base import logistic
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled
from gist_ray.methods.base.logistic import COARSE_GRID
from gist_ray.methods.base.predictions import accuracy_and_loss, probabilities_of
from gist_ray.methods.base.problem import Problem, Split
from gist_ray.methods.linear_probe import LinearProbeConfig, fit
from gist_ray.methods.sgd_probe import SgdProbeConfig
from tests.methods.made import labelled, problem_of

CONFIG = LinearProbeConfig()


def draw(
    per_class: int, num_classes: int, seed: int, noise: float = 1.5
) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(99).normal(size=(num_classes, 16))
    labels = np.repeat(np.arange(num_classes), per_class)
    rng = np.random.default_rng(seed)
    features = centres[labels] + noise * rng.normal(size=(len(labels), 16))
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), labels


EMPTY = (np.empty((0, 16), np.float32), np.empty(0, int))


def test_test_labels_cannot_reach_the_search() -> None:
    names = {field.name for field in dataclasses.fields(Problem)}
    assert not [name for name in names if "test" in name]
    assert {"train", "val"} < names
    assert not [field.name for field in dataclasses.fields(Split) if "test" in field.name]


def optimum(train: tuple[np.ndarray, np.ndarray], c: float) -> LogisticRegression:
    """By second derivatives, which reach the optimum to rounding."""
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return model.fit(scaled(train[0], 10.0), train[1])


@pytest.mark.parametrize("per_class", [3, 60])
@pytest.mark.parametrize("c", COARSE_GRID)
@pytest.mark.parametrize("num_classes", [2, 5])
def test_a_fit_ends_at_its_optimum_for_any_c_and_number_of_images(
    monkeypatch: pytest.MonkeyPatch, num_classes: int, c: float, per_class: int
) -> None:
    monkeypatch.setattr(logistic, "COARSE_GRID", (c,))
    train, val, test = (draw(per_class, num_classes, seed) for seed in (0, 1, 2))
    problem = problem_of(train, val, num_classes)
    probe = fit(problem, LinearProbeConfig(num_search_steps=0))
    assert probe.c == pytest.approx(c)
    wanted = optimum(train, c).predict_proba(scaled(test[0], 10.0))
    found = probabilities_of(probe, test[0])
    np.testing.assert_allclose(found, wanted, atol=2e-4)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))


def test_no_c_of_the_grid_is_better_on_val() -> None:
    train, val = draw(3, 6, 0), draw(4, 6, 1)
    accuracy, log_loss = accuracy_and_loss(fit(problem_of(train, val, 6), CONFIG), labelled(*val))
    for c in COARSE_GRID:
        model = optimum(train, c)
        probe = LinearClassifier(model.coef_, model.intercept_, 10.0, c)
        other = accuracy_and_loss(probe, labelled(*val))
        assert (accuracy, -log_loss) >= (other[0], -other[1] - 1e-4)


def search_with(
    monkeypatch: pytest.MonkeyPatch, results: dict[float, tuple[float, float]], steps: int = 0
) -> tuple[float | None, list[float]]:
    """The C that is chosen, and those tried, when val judges each C by `results` (accuracy,
    log-loss), and (0, 1) where there is none."""
    tried: list[float] = []

    def judge(probe: LinearClassifier, val: Split) -> tuple[float, float]:
        assert probe.c is not None
        tried.append(probe.c)
        return results.get(probe.c, (0.0, 1.0))

    monkeypatch.setattr(logistic, "accuracy_and_loss", judge)
    config = LinearProbeConfig(num_search_steps=steps, max_iter=5)
    return fit(problem_of(draw(2, 3, 0), draw(1, 3, 1), 3), config).c, tried


def test_equal_accuracy_is_decided_by_log_loss_then_the_smaller_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert search_with(monkeypatch, {1.0: (0.5, 0.9), 100.0: (0.5, 0.7)})[0] == 100.0
    assert search_with(monkeypatch, {1.0: (0.5, 0.7), 100.0: (0.5, 0.7)})[0] == 1.0
    assert search_with(monkeypatch, {1.0: (0.6, 9.0), 100.0: (0.5, 0.7)})[0] == 1.0


def test_binary_search_halves_the_range_and_never_loses_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen, tried = search_with(monkeypatch, {1.0: (0.9, 0.1)}, steps=8)
    assert chosen == 1.0
    # both ends of the range, then the middle of what is left; the first middle is known already
    np.testing.assert_allclose(np.log10(tried[:7]), [-6, -4, -2, 0, 2, 4, 6])
    np.testing.assert_allclose(np.log10(tried[7:]), [1, -1, *(-(2.0 ** -np.arange(1, 7)))])


def test_without_val_images_c_is_one() -> None:
    probe = fit(problem_of(draw(3, 4, 0), EMPTY, 4), CONFIG)
    assert probe.c == 1.0
    features, labels = draw(5, 4, 1)
    assert (probabilities_of(probe, features).argmax(axis=1) == labels).mean() > 0.5


@pytest.mark.parametrize("kind", ["logistic", "sgd"])
def test_a_class_that_training_lacks_has_probability_zero(kind: str) -> None:
    features, labels = draw(4, 5, 0)
    val = draw(2, 5, 1)
    for lacking in ([2], [0, 2, 4], [0, 1, 2, 4]):
        keep = ~np.isin(labels, lacking)
        given = problem_of((features[keep], labels[keep]), val, 5)
        if kind == "sgd":
            probe = sgd_probe.fit(given, SgdProbeConfig(num_epochs=3))
        else:
            probe = fit(given, CONFIG)
        probabilities = probabilities_of(probe, val[0])
        assert (probabilities[:, lacking] == 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_order_of_training_images_does_not_matter() -> None:
    features, labels = draw(4, 4, 0)
    order = np.random.default_rng(0).permutation(len(labels))
    val = draw(2, 4, 1)
    straight = fit(problem_of((features, labels), val, 4), CONFIG)
    shuffled = fit(problem_of((features[order], labels[order]), val, 4), CONFIG)
    assert straight.c is not None
    np.testing.assert_allclose(
        probabilities_of(shuffled, features), probabilities_of(straight, features), atol=1e-3
    )


def test_no_training_image_is_an_error() -> None:
    with pytest.raises(UserError, match="no training image"):
        fit(problem_of(EMPTY, EMPTY, 3), CONFIG)
    with pytest.raises(UserError, match="no training image"):
        sgd_probe.fit(problem_of(EMPTY, EMPTY, 3), SgdProbeConfig())
