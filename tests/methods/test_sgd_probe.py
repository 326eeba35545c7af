import numpy as np
import torch

from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.sgd_probe import SgdProbeConfig, fit
from tests.methods.made import problem_of


def draw(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(4), per_class)
    centres = np.random.default_rng(99).normal(size=(4, 16))
    rng = np.random.default_rng(seed)
    features = centres[labels] + rng.normal(size=(len(labels), 16))
    return features.astype(np.float32), labels


EMPTY = (np.empty((0, 16), np.float32), np.empty(0, int))


def predicted(probe: LinearClassifier, features: np.ndarray) -> np.ndarray:
    return probabilities_of(probe, features).argmax(axis=1)


def test_it_learns_and_only_the_seed_decides() -> None:
    config = SgdProbeConfig(num_epochs=30, batch_size=8)
    state = torch.get_rng_state()
    first, again, other = (
        fit(problem_of(draw(8, 0), draw(3, 1), 4, seed), config) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.weight, again.weight)
    assert (first.weight != other.weight).any()
    assert torch.equal(torch.get_rng_state(), state)
    features, labels = draw(20, 2)
    assert (predicted(first, features) == labels).mean() > 0.8


def test_the_last_of_the_best_epochs_counts() -> None:
    train, val = draw(8, 0), draw(6, 2)
    # the run of n epochs passes through the same epochs as every longer one
    ends = [
        fit(problem_of(train, EMPTY, 4), SgdProbeConfig(num_epochs=epochs))
        for epochs in range(1, 13)
    ]
    correct = [(predicted(end, val[0]) == val[1]).sum() for end in ends]
    last_best = max(range(12), key=lambda epoch: (correct[epoch], epoch))
    # the case has teeth: later epochs are worse, and an earlier one is as good
    assert last_best < 11
    assert correct.count(correct[last_best]) > 1
    chosen = fit(problem_of(train, val, 4), SgdProbeConfig(num_epochs=12))
    np.testing.assert_array_equal(chosen.weight, ends[last_best].weight)
    np.testing.assert_array_equal(chosen.bias, ends[last_best].bias)
