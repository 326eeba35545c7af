"""The contract of a method: one module that turns a Problem into a Classifier."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from gist_ray.methods.base.problem import Classifier, Problem

TextSetName = Literal["names", "class", "concepts"]
"""names: the class names in their zero-shot templates; class: the texts of the classes; concepts:
short phrases that belong to no class."""

Need = Literal["labels", "val"]
"""labels: labelled training images; val: validation images, which choose something."""

Axis = Literal["shots", "seed"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to classify images from features, labels and texts."""

    name: str
    """Its key in METHODS, in configs/methods/ and in the column `method`."""

    label: str
    """Its name in tables and plots."""

    meaning: str
    """One sentence that says how it classifies."""

    source: str
    """The paper's section or the repository's file that it follows, or "ours"."""

    config: type
    """Its settings, a `@settings` class."""

    fit: Callable[[Problem, Any], Classifier]
    """Returns the classifier of a problem; the second argument is an object of `config`."""

    classifier: type
    """The dataclass that `fit` returns, with which a stored one is read."""

    texts: tuple[TextSetName, ...] = ()
    """The sets of texts that it reads."""

    needs: frozenset[Need] = frozenset()
    """The data that it needs besides the images to classify."""

    varies: frozenset[Axis] = frozenset()
    """The parts of a draw that change its classifier, the features being the same: nothing for
    one that sees no training image."""

    version: int = 1
    """Raised when `fit` returns another classifier for the same problem and settings."""
