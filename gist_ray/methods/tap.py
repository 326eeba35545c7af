"""TAP: a linear layer trained to tell the classes' texts apart, and used on images.

Mirza et al. 2023, "TAP: targeted prompting for task adaptive generation of textual training
instances", and the text phase of LaFTer (NeurIPS 2023); jmiemirza/TAP. The published recipe as it
is: noise after normalisation, and so more than twice as long as a text of 512 numbers; no
temperature; one step of full batch an epoch; the weights of the last step. `tap_clean` is the same
idea without these.
"""

from typing import Annotated

from pydantic import Field

from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import checked_texts
from gist_ray.settings.declare import settings

WEIGHT_DECAY = 0.01


@settings
class TapConfig:
    num_steps: Annotated[int, Field(ge=1)] = 500
    """Optimizer steps, 1 or more. TAP takes 400 to 5,500, chosen per data set without a val set;
    500 is the most frequent value of LaFTer's text phase."""

    noise: Annotated[float, Field(ge=0)] = 0.1
    """Standard deviation of the normal noise that each component gets at each step. Published."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Published."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Constant step size of AdamW, above 0. TAP's; LaFTer's is 5e-4."""


def fit(problem: Problem, config: TapConfig) -> LinearClassifier:
    """Returns the layer of the last step. Raises UserError for a class without text."""
    import torch  # not for the help of its settings

    given = checked_texts(problem, "class")
    texts = torch.nn.functional.normalize(torch.from_numpy(given.features))
    labels = torch.from_numpy(given.labels)
    generator = torch.Generator().manual_seed(problem.seed)
    dim = texts.shape[1]
    # what torch.nn.Linear starts from, but with a generator of our own
    weight = torch.empty(problem.num_classes, dim)
    weight.uniform_(-(dim**-0.5), dim**-0.5, generator=generator).requires_grad_()
    optimizer = torch.optim.AdamW([weight], lr=config.learning_rate, weight_decay=WEIGHT_DECAY)
    for _ in range(config.num_steps):
        noisy = texts + config.noise * torch.randn(texts.shape, generator=generator)
        loss = torch.nn.functional.cross_entropy(
            noisy @ weight.T, labels, label_smoothing=config.label_smoothing
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = weight.detach().double().numpy()
    return LinearClassifier(found, 0.0 * found[:, 0], 1.0)


METHOD = Method(
    name="tap",
    label="TAP",
    meaning="a linear layer trained on the texts' embeddings alone, as published",
    source="Mirza et al. 2023; jmiemirza/TAP",
    config=TapConfig,
    fit=fit,
    classifier=LinearClassifier,
    texts=("class",),
    varies=frozenset({"seed"}),
)
