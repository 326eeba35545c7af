import numpy as np

from gist_ray.methods.base.cache import CacheGrid, choose_on_val, class_affinities
from tests.methods.made import labelled, problem

SIMILARITY = np.array([[1.0, 0.5, -0.2], [0.1, 0.9, 0.3]])
LABELS = np.array([2, 0, 2])


def test_a_class_has_the_sum_over_its_keys() -> None:
    found = class_affinities(SIMILARITY, LABELS, num_classes=4, beta=3.0)
    each = np.exp(-(3.0 - 3.0 * SIMILARITY))
    wanted = np.zeros((2, 4))
    wanted[:, 0] = each[:, 1]
    wanted[:, 2] = each[:, 0] + each[:, 2]
    np.testing.assert_allclose(found, wanted)


def test_beta_zero_counts_the_keys() -> None:
    found = class_affinities(SIMILARITY, LABELS, num_classes=4, beta=0.0)
    np.testing.assert_allclose(found, [[1, 0, 2, 0]] * 2)


def test_the_choice_is_the_pair_that_is_right_on_val() -> None:
    """The zero-shot logits are wrong by 0.5, and only a sharp cache puts the one near key of class
    1 before the three far ones of class 0."""
    keys = np.array([[0.8, 0.6], [0.8, 0.6], [0.8, 0.6], [0.0, 1.0]])
    train = labelled(keys, np.array([0, 0, 0, 1]))
    val = labelled(np.array([[0.0, 1.0]]), np.array([1]))
    given = problem(train=train, val=val, num_classes=2)
    chosen = choose_on_val(
        given,
        keys,
        CacheGrid(alphas=[0.1, 1.0], betas=[0.3, 10.0]),
        zero_shot=np.array([[0.5, 0.0]]),
    )
    assert chosen == (1.0, 10.0)
