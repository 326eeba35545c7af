"""Tip-Adapter-F: Tip-Adapter whose keys are trained.

Zhang et al. 2022, section 3.2; gaopengcuhk/Tip-Adapter main.py: AdamW, cosine per step, the last
epoch. The reference trains on augmented views and takes the best epoch and the best grid point by
test accuracy; ours trains on the images as they were embedded, takes the last epoch, and chooses
alpha and beta, after training as the reference does, on val.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.cache import CacheGrid, choose_on_val
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS
from gist_ray.methods.base.val_form import val_form
from gist_ray.methods.tip_adapter import TipAdapterClassifier, TipAdapterConfig
from gist_ray.methods.tip_adapter import fit as fit_cache
from gist_ray.settings.declare import settings

ADAM_EPS = 1e-4
"""The reference's, which its half precision needs."""

WEIGHT_DECAY = 0.01
"""PyTorch's default, as in the reference."""


@settings
class TipAdapterFConfig(TipAdapterConfig):
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """First step size of AdamW, above 0. The reference's."""

    num_epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training images, 1 or more. The reference's; it takes 100 for EuroSAT."""

    batch_size: Annotated[int, Field(ge=1)] = 256
    """Images a step, 1 or more. The reference's."""


@settings
class TipAdapterFValConfig(CacheGrid, TipAdapterFConfig):
    """The same, with a grid for alpha and beta after training."""


def fit(problem: Problem, config: TipAdapterFConfig) -> TipAdapterClassifier:
    """Returns the classifier with the keys of the last epoch. Raises UserError without training
    images, or for a class without text."""
    import torch  # not for the help of its settings

    start = fit_cache(problem, config)
    features = torch.from_numpy(problem.train.features)
    labels = torch.from_numpy(problem.train.labels)
    zero_shot = problem.logit_scale * features @ torch.from_numpy(start.head).T
    keys = torch.from_numpy(start.keys.copy()).requires_grad_()
    optimizer = torch.optim.AdamW(
        [keys], lr=config.learning_rate, eps=ADAM_EPS, weight_decay=WEIGHT_DECAY
    )
    num_steps = config.num_epochs * -(-len(labels) // config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    generator = torch.Generator().manual_seed(problem.seed)
    for _ in range(config.num_epochs):
        for batch in torch.randperm(len(labels), generator=generator).split(config.batch_size):
            affinity = torch.exp(config.beta * (features[batch] @ keys.T - 1))
            cache = torch.zeros(len(batch), problem.num_classes).index_add(1, labels, affinity)
            logits = zero_shot[batch] + config.alpha * cache
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return replace(start, keys=keys.detach().numpy())


def fit_on_val(problem: Problem, config: TipAdapterFValConfig) -> TipAdapterClassifier:
    """Returns the classifier with the alpha and beta that are best on val for the trained keys."""
    fitted = fit(problem, config)
    zero_shot = replace(fitted, alpha=0.0).logits(problem.val.features)
    alpha, beta = choose_on_val(problem, fitted.keys, config, zero_shot=zero_shot)
    return replace(fitted, alpha=alpha, beta=beta)


METHOD = Method(
    name="tip_adapter_f",
    label="Tip-Adapter-F",
    meaning="Tip-Adapter with keys that are trained on the training images",
    source="Zhang et al. 2022, section 3.2; gaopengcuhk/Tip-Adapter main.py",
    config=TipAdapterFConfig,
    fit=fit,
    classifier=TipAdapterClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=TipAdapterFValConfig, fit=fit_on_val)
