"""CLAP: the text-initialised probe, held near its texts by as much as they are right.

Silva-Rodríguez et al. 2024, section 4; jusiro/CLAP trainers/adapters.py. A class's penalty is the
mean zero-shot probability of its training images for it, computed once. It has nothing to choose,
so there is no form with a choice on val.
"""

import numpy as np

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS, text_head
from gist_ray.methods.base.text_initialised import TextInitialisedConfig, train_head


def fit(problem: Problem, config: TextInitialisedConfig) -> LinearClassifier:
    """Returns the head of the last epoch. Raises UserError without training images, or for a class
    without text."""
    require_images(problem, "CLAP")
    return train_head(problem, config, penalties_of(problem, config))


def penalties_of(problem: Problem, config: TextInitialisedConfig) -> np.ndarray:
    """Returns (num_classes,) lambda, in (0, 1]; 1 for a class without image, which keeps its text.
    That is our choice: the reference divides by zero."""
    train = problem.train
    zero_shot = by_cosine(text_head(problem, config.text_set), problem.logit_scale)
    probabilities = probabilities_of(zero_shot, train.features)
    of_own = probabilities[np.arange(len(train.labels)), train.labels]
    sums = np.bincount(train.labels, of_own, minlength=problem.num_classes)
    counts = np.bincount(train.labels, minlength=problem.num_classes)
    return np.where(counts, sums / np.maximum(counts, 1), 1.0)


METHOD = Method(
    name="clap",
    label="CLAP",
    meaning="the text-initialised probe with a penalty on leaving texts that are right",
    source="Silva-Rodríguez et al. 2024, section 4; jusiro/CLAP trainers/adapters.py",
    config=TextInitialisedConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)
