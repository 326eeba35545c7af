"""The zero-shot head of a method that starts from texts: one vector per class."""

from typing import Literal

import numpy as np

from gist_ray.errors import UserError
from gist_ray.methods.base.class_mean import class_means, require_texts
from gist_ray.methods.base.problem import Problem, TextSet
from gist_ray.settings.declare import settings

HeadSet = Literal["names", "class"]
"""The sets whose texts belong to classes."""


@settings
class TextHeadConfig:
    """The settings of every method that starts from a zero-shot head."""

    text_set: HeadSet = "class"
    """Texts of its zero-shot head: class (the texts of the classes), or names (the class names in
    their templates), which the published methods take. Our choice: descriptions say at least as
    much, and an unknown name says nothing."""


HEAD_TEXTS: tuple[HeadSet, ...] = ("names", "class")
"""The sets that a method with `TextHeadConfig` declares."""


def text_head(problem: Problem, text_set: HeadSet) -> np.ndarray:
    """Returns the normalised mean text of each class, (num_classes, dim) float64, L2-normalised.

    Raises UserError for a class without text, or one whose name lacks a template.
    """
    texts = checked_texts(problem, text_set)
    return class_means(texts.features.astype(np.float64), texts.labels, problem.num_classes)


def checked_texts(problem: Problem, text_set: HeadSet) -> TextSet:
    """Returns a set with texts of every class, the names in as many templates each: means over
    different templates cannot be compared. Raises UserError with the classes that lack some."""
    texts = problem.texts[text_set]
    if text_set == "class":
        require_texts(texts.labels, problem.num_classes)
        return texts
    num_templates = np.bincount(texts.labels, minlength=problem.num_classes)
    lacking = np.flatnonzero(num_templates < num_templates.max()).tolist()
    if lacking:
        raise UserError(
            f"zero-shot by name: the names of {len(lacking)} classes have no embedding in some "
            f"template: labels {lacking}. See errors.parquet of the names' embeddings."
        )
    return texts
