"""What a method that learns from images asks of its training images."""

import numpy as np

from gist_ray.errors import UserError
from gist_ray.methods.base.problem import Problem


def require_images(problem: Problem, what: str) -> None:
    """Raises UserError where there is no training image. what: the part that needs one, such as
    "the linear probe"."""
    if not len(problem.train.labels):
        raise UserError(f"{what} has no training image: check the split and the shots.")


def bias_of_seen(problem: Problem) -> np.ndarray:
    """Returns (num_classes,): 0 for a class with training images, -inf, so probability 0, for one
    without."""
    seen = np.isin(np.arange(problem.num_classes), problem.train.labels)
    return np.where(seen, 0.0, -np.inf)
