"""A linear head that starts as the zero-shot head and is trained on images, without validation.

jusiro/CLAP trainers/adapters.py: both sides of each logit are normalised, SGD with momentum 0.9,
and the schedule of Dassl: one epoch at a constant small step, then a cosine per epoch.
"""

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.methods.base.linear_classifier import LinearClassifier, by_cosine
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import TextHeadConfig, text_head
from gist_ray.settings.declare import settings

MOMENTUM = 0.9
WARM_UP_RATE = 1e-5
PROTOTYPE_LENGTH = 10.0
"""Length of the head's vectors at the start. CLAP trains the raw mean text, and the longer it is,
the less a step turns it; here texts are stored with length 1, and 10 is near that of CLIP's raw
texts. Our choice."""


@settings
class TextInitialisedConfig(TextHeadConfig):
    """The published values (SGD_lr1e-1_B256_ep300.yaml)."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.1
    """Step size of the second epoch, the largest, above 0."""

    num_epochs: Annotated[int, Field(ge=1)] = 300
    """Epochs, 1 or more."""

    batch_size: Annotated[int, Field(ge=1)] = 256
    """Images a step, 1 or more; the last, incomplete batch of an epoch is left out where there is
    a whole one."""


def train_head(
    problem: Problem, config: TextInitialisedConfig, penalties: np.ndarray
) -> LinearClassifier:
    """Returns the head of the last epoch.

    penalties: (num_classes,) lambda of each class; the loss is cross-entropy plus the mean over
    classes of lambda |w - t|^2, t being the start.
    """
    import torch  # not for the help of its settings

    start = text_head(problem, config.text_set)
    features = torch.nn.functional.normalize(torch.from_numpy(problem.train.features))
    labels = torch.from_numpy(problem.train.labels)
    prototypes = torch.from_numpy(PROTOTYPE_LENGTH * start).float()
    lambdas = torch.from_numpy(penalties).float()
    weight = prototypes.clone().requires_grad_()
    optimizer = torch.optim.SGD([weight], lr=config.learning_rate, momentum=MOMENTUM)
    generator = torch.Generator().manual_seed(problem.seed)
    size = min(config.batch_size, len(labels))
    for epoch in range(config.num_epochs):
        optimizer.param_groups[0]["lr"] = rate_of(epoch, config)
        order = torch.randperm(len(labels), generator=generator)
        for batch in order[: len(labels) // size * size].split(size):
            unit = torch.nn.functional.normalize(weight)
            logits = problem.logit_scale * features[batch] @ unit.T
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            if penalties.any():
                loss = loss + (lambdas * (weight - prototypes).square().sum(dim=1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    vectors = torch.nn.functional.normalize(weight.detach().double())
    return by_cosine(vectors.numpy(), problem.logit_scale)


def rate_of(epoch: int, config: TextInitialisedConfig) -> float:
    """Returns the step size of an epoch, counted from 0."""
    if epoch == 0:
        return WARM_UP_RATE
    return config.learning_rate * (1 + math.cos(math.pi * (epoch - 1) / config.num_epochs)) / 2
