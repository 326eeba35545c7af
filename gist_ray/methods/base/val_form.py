"""The *val* form of a method: the same method, with the settings that val images choose.

A method stands in a table twice: *fixed*, with the values that it is published with, and *val*,
with those of its grid that are best on the draw's val images, min(shots, 4) of each class. The name
of the second ends in `_val`, its label in "(val)".
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from scipy.special import softmax

from gist_ray.methods.base.method import Method
from gist_ray.methods.base.predictions import accuracy_and_loss_of
from gist_ray.methods.base.problem import Classifier, Problem, Split

T = TypeVar("T")
F = TypeVar("F", bound=Classifier)


def val_form(method: Method, *, config: type, fit: Callable[[Problem, Any], Classifier]) -> Method:
    """Returns the form of `method` that chooses on val.

    config: a subclass of the method's settings that adds its grid; the values of the method itself
    hold where a draw has no val image. fit: returns the classifier of a problem with val images.
    """

    def fitted(problem: Problem, config: Any) -> Classifier:
        return (fit if len(problem.val.labels) else method.fit)(problem, config)

    return replace(
        method,
        name=f"{method.name}_val",
        label=f"{method.label} (val)",
        meaning=f"{method.meaning}; its settings are chosen on val",
        config=config,
        fit=fitted,
        needs=method.needs | {"val"},
        varies=frozenset({"shots", "seed"}),
    )


def best_on_val(val: Split, candidates: Iterable[tuple[T, np.ndarray]]) -> T:
    """Returns the value of the best of (value, its logits (num_images, num_classes) on val).

    The best has the highest accuracy; of equal accuracies, the rule with a few images per class,
    the lowest mean log-loss; of equal ones, the first. The references take the first of equal
    accuracies: the log-loss is our choice.
    """

    def score(candidate: tuple[T, np.ndarray]) -> tuple[float, float]:
        accuracy, log_loss = accuracy_and_loss_of(softmax(candidate[1], axis=1), val.labels)
        return accuracy, -log_loss

    return max(candidates, key=score)[0]


def best_fit(problem: Problem, fit: Callable[[Problem, Any], F], configs: Iterable[Any]) -> F:
    """Returns the classifier of that one of `configs` whose fit is best on val, as `best_on_val`
    says."""
    fitted = (fit(problem, config) for config in configs)
    return best_on_val(problem.val, ((one, one.logits(problem.val.features)) for one in fitted))
