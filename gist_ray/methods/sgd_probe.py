"""GIST's linear probe (linear_probe.py of emu1729/GIST): plain SGD, best epoch on val.

Linear layer, cross-entropy, learning rate 0.5 without momentum or decay, batches of 64, 1,000
epochs, weights of the last epoch that reached the best val accuracy. GIST feeds raw CLIP features
and has no seed; here they are normalised and scaled, and everything is seeded.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier, scaled, widened
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.settings.declare import settings


@settings
class SgdProbeConfig:
    feature_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """The probe sees L2-normalised features times this. Our choice."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    """Step size, above 0. GIST's value."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Images a step, 1 or more. GIST's value."""

    num_epochs: Annotated[int, Field(ge=1)] = 1000
    """Passes over the training images, 1 or more. GIST's value."""


def fit(problem: Problem, config: SgdProbeConfig) -> LinearClassifier:
    """Returns the probe trained on train, of the epoch that is best on val; of the last epoch
    without val images. Raises UserError without training images."""
    import torch  # not for the help of its settings

    train, val = problem.train, problem.val
    require_images(problem, "the linear probe")
    seen, targets = np.unique(train.labels, return_inverse=True)
    inputs = torch.from_numpy(scaled(train.features, config.feature_scale)).float()
    labels = torch.from_numpy(targets)
    val_inputs = torch.from_numpy(scaled(val.features, config.feature_scale)).float()
    # a val class that training lacks stands outside the layer and is never right
    place = {int(label): index for index, label in enumerate(seen)}
    val_targets = torch.tensor([place.get(int(label), -1) for label in val.labels])

    generator = torch.Generator().manual_seed(problem.seed)
    dim = inputs.shape[1]
    weight, bias = torch.empty(len(seen), dim), torch.empty(len(seen))
    # what torch.nn.Linear starts from, but with a generator of our own
    for parameter in (weight, bias):
        parameter.uniform_(-(dim**-0.5), dim**-0.5, generator=generator).requires_grad_()
    optimizer = torch.optim.SGD([weight, bias], lr=config.learning_rate)

    best_correct = -1
    best_weight, best_bias = weight, bias
    for _ in range(config.num_epochs):
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.split(config.batch_size):
            logits = torch.nn.functional.linear(inputs[batch], weight, bias)
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = torch.nn.functional.linear(val_inputs, weight, bias)
            correct = int((logits.argmax(dim=1) == val_targets).sum())
        if correct >= best_correct:
            best_correct = correct
            best_weight, best_bias = weight.detach().clone(), bias.detach().clone()
    weights = best_weight.detach().double().numpy(), best_bias.detach().double().numpy()
    return LinearClassifier(
        *widened(*weights, seen, num_classes=problem.num_classes), config.feature_scale
    )


METHOD = Method(
    name="sgd_probe",
    label="SGD probe",
    meaning="a linear layer trained by plain SGD on the training images' features (GIST's probe)",
    source="emu1729/GIST linear_probe.py",
    config=SgdProbeConfig,
    fit=fit,
    classifier=LinearClassifier,
    needs=frozenset({"labels", "val"}),
    varies=frozenset({"shots", "seed"}),
)
