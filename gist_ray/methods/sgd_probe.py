"""GIST's linear probe (linear_probe.py of emu1729/GIST): plain SGD, best epoch on val.

Linear layer, cross-entropy, learning rate 0.5 without momentum or decay, batches of 64, 1,000
epochs, weights of the last epoch that reached the best val accuracy. GIST feeds raw CLIP features
and has no seed; here they are normalised and scaled, and everything is seeded.
"""

import numpy as np
import torch

from gist_ray.errors import UserError
from gist_ray.evaluation.config import EvaluationConfig
from gist_ray.methods.probe import Probe, scaled, widened


def fit_sgd_probe(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    num_classes: int,
    config: EvaluationConfig,
    seed: int,
) -> Probe:
    """Train on train, choose the epoch on val.

    train_features: (num_train, dim), val_features: (num_val, dim); labels in 0..num_classes-1.
    num_val may be 0: then the last epoch counts. Raises UserError without training images.
    """
    if not len(train_labels):
        raise UserError("the linear probe has no training image: check the split and the shots.")
    seen, targets = np.unique(train_labels, return_inverse=True)
    inputs = torch.from_numpy(scaled(train_features, config.feature_scale)).float()
    labels = torch.from_numpy(targets)
    val_inputs = torch.from_numpy(scaled(val_features, config.feature_scale)).float()
    # a val class that training lacks stands outside the layer and is never right
    place = {int(label): index for index, label in enumerate(seen)}
    val_targets = torch.tensor([place.get(int(label), -1) for label in val_labels])

    generator = torch.Generator().manual_seed(seed)
    dim = inputs.shape[1]
    weight, bias = torch.empty(len(seen), dim), torch.empty(len(seen))
    # what torch.nn.Linear starts from, but with a generator of our own
    for parameter in (weight, bias):
        parameter.uniform_(-(dim**-0.5), dim**-0.5, generator=generator).requires_grad_()
    optimizer = torch.optim.SGD([weight, bias], lr=config.sgd_learning_rate)

    best_correct = -1
    best_weight, best_bias = weight, bias
    for _ in range(config.sgd_num_epochs):
        order = torch.randperm(len(labels), generator=generator)
        for batch in order.split(config.sgd_batch_size):
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
    return widened(
        best_weight.detach().double().numpy(),
        best_bias.detach().double().numpy(),
        seen,
        num_classes,
        config.feature_scale,
        None,
    )
