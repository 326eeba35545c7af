import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from gist_ray.methods.base.gaussian import gaussian_weights

NUM_CLASSES = 4


def drawn(per_class: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(NUM_CLASSES), per_class)
    centres = rng.normal(size=(NUM_CLASSES, dim))
    return centres[labels] + rng.normal(size=(len(labels), dim)), labels


@pytest.mark.parametrize(("per_class", "dim"), [(20, 6), (3, 40)])
def test_it_is_linear_discriminant_analysis_with_this_shrinkage(per_class: int, dim: int) -> None:
    rows, labels = drawn(per_class, dim)
    num_rows = len(rows)
    shrinkage = dim / (dim + num_rows - 1)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(rows, labels)
    weight, bias = gaussian_weights(rows, labels, NUM_CLASSES)
    scale = dim / num_rows * (1 - shrinkage)
    np.testing.assert_allclose(weight, scale * model.coef_, rtol=1e-7, atol=1e-9)
    without_prior = model.intercept_ - np.log(1 / NUM_CLASSES)
    np.testing.assert_allclose(bias, scale * without_prior, rtol=1e-7, atol=1e-9)


def test_the_formula_on_three_rows() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    weight, bias = gaussian_weights(rows, np.array([0, 0, 1]), 2)
    # the scatter is [[.5, -.5], [-.5, .5]], its trace 1, divided by n - 1 = 2
    precision = 2 * np.linalg.inv(np.array([[1.0, -0.5], [-0.5, 1.0]]))
    means = np.array([[0.5, 0.5], [2.0, 2.0]])
    np.testing.assert_allclose(weight, means @ precision)
    np.testing.assert_allclose(bias, [-m @ precision @ m / 2 for m in means])


def test_a_shift_of_all_rows_changes_no_difference_between_classes() -> None:
    rows, labels = drawn(5, 8)
    shift = np.linspace(-1, 1, 8)
    weight, bias = gaussian_weights(rows, labels, NUM_CLASSES)
    shifted_weight, shifted_bias = gaussian_weights(rows + shift, labels, NUM_CLASSES)
    one, other = rows @ weight.T + bias, (rows + shift) @ shifted_weight.T + shifted_bias
    np.testing.assert_allclose(one - one[:, :1], other - other[:, :1], atol=1e-8)


def test_one_row_a_class_has_no_spread_to_go_by() -> None:
    rows, labels = drawn(1, 8)
    weight, bias = gaussian_weights(rows, labels, NUM_CLASSES)
    assert not weight.any()
    assert not bias.any()


def test_a_class_without_row_has_zeros_and_changes_no_other() -> None:
    rows, labels = drawn(5, 8)
    weight, bias = gaussian_weights(rows, labels, NUM_CLASSES)
    wider_weight, wider_bias = gaussian_weights(rows, labels + (labels > 1), NUM_CLASSES + 1)
    np.testing.assert_allclose(wider_weight[[0, 1, 3, 4]], weight)
    np.testing.assert_allclose(wider_bias[[0, 1, 3, 4]], bias)
    assert not wider_weight[2].any()
