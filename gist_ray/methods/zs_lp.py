"""ZS-LP: a linear head that starts as the zero-shot head and is trained on the images.

Silva-Rodríguez et al. 2024, "A closer look at the few-shot adaptation of large vision-language
models", section 3; jusiro/CLAP. The reference draws from 20 augmented views of each image; ours
takes the images as they were embedded.
"""

import numpy as np

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS
from gist_ray.methods.base.text_initialised import TextInitialisedConfig, train_head


def fit(problem: Problem, config: TextInitialisedConfig) -> LinearClassifier:
    """Returns the head of the last epoch. Raises UserError without training images, or for a class
    without text."""
    require_images(problem, "the text-initialised probe")
    return train_head(problem, config, np.zeros(problem.num_classes))


METHOD = Method(
    name="zs_lp",
    label="text-initialised probe",
    meaning="a linear head that starts as the mean texts and is trained on the training images",
    source="Silva-Rodríguez et al. 2024 (ZS-LP), section 3; jusiro/CLAP trainers/adapters.py",
    config=TextInitialisedConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)
