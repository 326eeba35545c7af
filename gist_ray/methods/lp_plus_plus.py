"""LP++: a linear probe plus the zero-shot head, with a weight per class, in step sizes from theory.

Huang et al. 2024, "LP++: a surprisingly strong linear probe for few-shot CLIP";
methods/linear_probe_p2.py. Full-batch SGD with momentum 0.9. The gradient of the text weights alpha
is never cleared in the reference, so that every update takes the sum of all gradients so far;
`clear_alpha_gradient` clears it. The reference trains on one augmented view; ours takes the images
as they were embedded.
"""

from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem, Split
from gist_ray.methods.base.text_head import HEAD_TEXTS, TextHeadConfig, text_head
from gist_ray.methods.base.val_form import val_form
from gist_ray.settings.declare import settings

MOMENTUM = 0.9
ALPHA_FACTOR = 250.0
"""The start of alpha, times the mean cosine of a training image with its class's text."""


@settings
class LpPlusPlusConfig(TextHeadConfig):
    num_epochs: Annotated[int, Field(ge=1)] = 300
    """Steps over all training images, 1 or more. The published value."""

    alpha_interval: Annotated[int, Field(ge=1)] = 10
    """The text weights take a step every so many epochs, 1 or more. The published value."""

    clear_alpha_gradient: bool = False
    """Whether the gradient of the text weights is cleared after their step; false is the
    reference's code."""


def fit(problem: Problem, config: LpPlusPlusConfig) -> LinearClassifier:
    """Returns the classifier of the last epoch. Raises UserError without training images, or for a
    class without text."""
    return _trained(problem, config, Split.none())


def fit_on_val(problem: Problem, config: LpPlusPlusConfig) -> LinearClassifier:
    """Returns the classifier of the last of the epochs with the highest val accuracy, as
    published."""
    return _trained(problem, config, problem.val)


def _trained(problem: Problem, config: LpPlusPlusConfig, val: Split) -> LinearClassifier:
    """val: none to take the last epoch."""
    import torch  # not for the help of its settings

    require_images(problem, "LP++")
    features = torch.from_numpy(problem.train.features)
    labels = torch.from_numpy(problem.train.labels)
    num_images, dim = features.shape
    head = torch.from_numpy(text_head(problem, config.text_set)).float()
    one_hot = torch.nn.functional.one_hot(labels, problem.num_classes).float()
    counts = one_hot.sum(dim=0)
    cosines = features @ head.T
    # (num_classes,): the sum over a class's own images
    own = (cosines * one_hot).sum(dim=0)
    start = ALPHA_FACTOR * (own[counts > 0] / counts[counts > 0]).mean()
    squared = (cosines.square() * one_hot).sum(dim=0)

    generator = torch.Generator().manual_seed(problem.seed)
    weight = (one_hot.T @ features).requires_grad_()
    bias = torch.empty(problem.num_classes).uniform_(-(dim**-0.5), dim**-0.5, generator=generator)
    bias.requires_grad_()
    alpha = start.repeat(problem.num_classes).requires_grad_()
    largest = torch.linalg.eigvalsh((features.T @ features).double())[-1]
    optimizer = torch.optim.SGD(
        [weight, bias], lr=float(4 * num_images / largest), momentum=MOMENTUM
    )
    alpha_rate = float(num_images / (4 * squared.max()))

    best, best_correct = (weight, bias, alpha), -1
    val_features, val_labels = torch.from_numpy(val.features), torch.from_numpy(val.labels)
    for epoch in range(config.num_epochs):
        logits = features @ weight.T + bias + alpha * cosines
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (epoch + 1) % config.alpha_interval == 0:
            with torch.no_grad():
                assert alpha.grad is not None
                alpha -= alpha_rate * alpha.grad
            if config.clear_alpha_gradient:
                alpha.grad = None
        if len(val_labels):
            with torch.no_grad():
                logits = val_features @ (weight + alpha[:, None] * head).T + bias
                correct = int((logits.argmax(dim=1) == val_labels).sum())
            if correct >= best_correct:
                best_correct = correct
                best = weight.detach().clone(), bias.detach().clone(), alpha.detach().clone()
    weight, bias, alpha = (one.detach().double() for one in best)
    merged = weight + alpha[:, None] * head.double()
    return LinearClassifier(merged.numpy(), bias.numpy(), 1.0)


METHOD = Method(
    name="lp_plus_plus",
    label="LP++",
    meaning="a linear probe plus the mean texts with a trained weight for each class",
    source="Huang et al. 2024, section 4; methods/linear_probe_p2.py",
    config=LpPlusPlusConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=HEAD_TEXTS,
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=LpPlusPlusConfig, fit=fit_on_val)
