"""CCLI-R: images by the concepts that they show, and a network from concepts to classes.

A reconstruction of Zhang et al., "Cross-modal concept learning and inference for vision-language
models" (arXiv 2307.15460). Its code is not public. The abstract says: text concepts, visual
concepts learnt from images by CLIP's text-image correlation, a representation of images by them,
and a concept inference network. The rest is our choice: which images make a visual concept
(`visual_concepts`, `best_images`), both kinds of activations side by side, standardised
(`ConceptSpace`), one linear layer that starts as the classes' mean representations, and its logits
added to the zero-shot ones. Training is that of Tip-Adapter-F's code, but for the step size, on the
images as they were embedded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from gist_ray.matching.similarity import top_k
from gist_ray.methods.base.concept_space import (
    ConceptSpace,
    VisualConcepts,
    concept_space,
    visual_concepts,
)
from gist_ray.methods.base.images import require_images
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.problem import Problem
from gist_ray.methods.base.text_head import HEAD_TEXTS, TextHeadConfig, text_head
from gist_ray.methods.base.val_form import best_on_val, val_form
from gist_ray.settings.declare import settings

ADAM_EPS = 1e-4
WEIGHT_DECAY = 0.01
MOST_IMAGES = 16
MAX_EXPLAINING = 3
"""Concepts that an explanation names."""


@settings
class CcliConfig(TextHeadConfig):
    """Our choices, made on two drawn worlds; the paper's values are not known to us."""

    num_images: Annotated[int, Field(ge=1)] | None = None
    """Training images of a visual concept, fewer than there are; null takes as many as a class has
    on average, at most 16."""

    floor: float = 1.0
    """An image of a concept scores more: its cosine with the concept above its mean cosine with all
    concepts, in standard deviations. A concept without such an image is left out."""

    max_cosine: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Of concepts with a higher cosine the first is kept: of the texts, and of what their images
    have beyond the mean image."""

    beta: Annotated[float, Field(ge=0)] = 5.0
    """Sharpness, 0 or more: a visual concept counts exp(-beta (1 - cosine))."""

    alpha: Annotated[float, Field(ge=0)] = 10.0
    """Weight of the network's logits beside the zero-shot ones, 0 or more; 0 is zero-shot."""

    num_epochs: Annotated[int, Field(ge=0)] = 20
    """Passes over the training images, 0 or more; 0 leaves the network as the classes' mean
    representations. That of Tip-Adapter-F's code."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-2
    """First step size of AdamW, above 0, falling by a cosine per step. Tip-Adapter-F's code has
    1e-3."""

    batch_size: Annotated[int, Field(ge=1)] = 256
    """Images a step, 1 or more. That of Tip-Adapter-F's code."""


@settings
class CcliValConfig(CcliConfig):
    """The same, with a grid. num_images and beta are chosen before training, with the best alpha of
    each, and alpha again after it."""

    nums_images: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 4, 16]
    )
    """Values of num_images; those that are not below the number of training images are left
    out."""

    betas: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = Field(
        default_factory=lambda: [2.0, 5.0, 10.0]
    )
    """Values of beta."""

    alphas: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=1)] = Field(
        default_factory=lambda: [3.0, 5.0, 10.0, 20.0]
    )
    """Values of alpha. The network is trained with `alpha`."""


@dataclass(frozen=True)
class CcliClassifier(ConceptSpace):
    """head: (num_classes, dim) float32, L2-normalised; network: (num_classes, 2 num_concepts)
    float32; logit_scale: CLIP's own, after exp."""

    head: np.ndarray
    network: np.ndarray
    alpha: float
    logit_scale: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, num_classes) float64 for `features` (num_images, dim),
        L2-normalised."""
        found = self.logit_scale * (features @ self.head.T).astype(np.float64)
        for rows in self.blocks(len(features)):
            found[rows] += self.alpha * (self.representation(features[rows]) @ self.network.T)
        return found

    def explain(self, features: np.ndarray, labels: np.ndarray) -> list[list[tuple[str, float]]]:
        """Returns for each image the MAX_EXPLAINING concepts that speak most for its class in
        `labels` (num_images,), each with its share of all that do.

        A concept speaks for a class by its activations above the training images' mean, each times
        its weight for the class above its mean weight over the classes; what an image lacks does
        not count. The zero-shot logits have no part in it.
        """
        found: list[list[tuple[str, float]]] = []
        beyond = self.network - self.network.mean(axis=0)
        for rows in self.blocks(len(features)):
            shown = np.maximum(self.representation(features[rows]), 0)
            parts = np.maximum(shown * beyond[labels[rows]], 0)
            both = parts.reshape(len(parts), 2, -1).sum(axis=1)
            total = np.maximum(both.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
            shares = both / total
            best = top_k(shares, MAX_EXPLAINING)
            found += [
                [(self.concepts[column], float(row[column])) for column in columns if row[column]]
                for row, columns in zip(shares, best, strict=True)
            ]
        return found


def fit(problem: Problem, config: CcliConfig) -> CcliClassifier:
    """Returns the classifier of the last epoch. Raises UserError without training images, for a
    class without text, and where there is no visual concept."""
    require_images(problem, "CCLI-R")
    return _trained(problem, _untrained(problem, config, _visual(problem, config)), config)


def fit_on_val(problem: Problem, config: CcliValConfig) -> CcliClassifier:
    """Returns the classifier with the values that are best on val."""
    require_images(problem, "CCLI-R")
    num_train = len(problem.train.labels)
    below = [num for num in config.nums_images if num < num_train]
    nums: list[int | None] = [*below] or [config.num_images]

    def candidates() -> Iterator[tuple[CcliClassifier, np.ndarray]]:
        for num in nums:
            visual = _visual(problem, replace(config, num_images=num))
            for beta in config.betas:
                made = _untrained(problem, replace(config, beta=beta), visual)
                yield from _with_alphas(made, problem, config.alphas)

    best = best_on_val(problem.val, candidates())
    trained = _trained(problem, best, config)
    return best_on_val(problem.val, _with_alphas(trained, problem, config.alphas))


def _with_alphas(
    classifier: CcliClassifier, problem: Problem, alphas: Sequence[float]
) -> Iterator[tuple[CcliClassifier, np.ndarray]]:
    """Yields the classifier with each alpha, and its logits on val."""
    features = problem.val.features
    zero_shot = replace(classifier, alpha=0.0).logits(features)
    network = replace(classifier, alpha=1.0).logits(features) - zero_shot
    for alpha in alphas:
        yield replace(classifier, alpha=alpha), zero_shot + alpha * network


def _visual(problem: Problem, config: CcliConfig) -> VisualConcepts:
    num_train = len(problem.train.labels)
    of_a_class = min(MOST_IMAGES, max(1, num_train // problem.num_classes))
    return visual_concepts(
        problem.train.features,
        problem.texts["concepts"].features,
        k=of_a_class if config.num_images is None else config.num_images,
        floor=config.floor,
        max_cosine=config.max_cosine,
    )


def _untrained(problem: Problem, config: CcliConfig, visual: VisualConcepts) -> CcliClassifier:
    """Returns the classifier whose network holds the mean representation of each class; zeros for a
    class without image."""
    train = problem.train
    space = concept_space(train.features, problem.texts["concepts"], visual, beta=config.beta)
    network = np.zeros((problem.num_classes, len(space.means)))
    for rows in space.blocks(len(train.labels)):
        np.add.at(network, train.labels[rows], space.representation(train.features[rows]))
    counts = np.bincount(train.labels, minlength=problem.num_classes)
    network /= np.maximum(counts, 1)[:, None]
    return CcliClassifier(
        **vars(space),
        head=text_head(problem, config.text_set).astype(np.float32),
        network=network.astype(np.float32),
        alpha=config.alpha,
        logit_scale=problem.logit_scale,
    )


def _trained(problem: Problem, start: CcliClassifier, config: CcliConfig) -> CcliClassifier:
    """Returns `start` with its network after the last epoch, by cross-entropy of the sum of both
    logits, with alpha as in `config`."""
    import torch  # not for the help of its settings

    train = problem.train
    labels = torch.from_numpy(train.labels)
    network = torch.from_numpy(start.network.copy()).requires_grad_()
    # fused: at ImageNet's size one step of the plain loop takes as long as the product
    optimizer = torch.optim.AdamW(
        [network], config.learning_rate, eps=ADAM_EPS, weight_decay=WEIGHT_DECAY, fused=True
    )
    num_steps = max(1, config.num_epochs * -(-len(labels) // config.batch_size))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    generator = torch.Generator().manual_seed(problem.seed)
    for _ in range(config.num_epochs):
        for batch in torch.randperm(len(labels), generator=generator).split(config.batch_size):
            features = train.features[batch.numpy()]
            zero_shot = torch.from_numpy(start.logit_scale * (features @ start.head.T))
            representation = torch.from_numpy(start.representation(features))
            logits = zero_shot + config.alpha * representation @ network.T
            loss = torch.nn.functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return replace(start, network=network.detach().numpy(), alpha=config.alpha)


METHOD = Method(
    name="ccli",
    label="CCLI-R",
    meaning="zero-shot plus a network over the concepts that the image shows",
    source="a reconstruction of Zhang et al. 2024 (arXiv 2307.15460)",
    config=CcliConfig,
    fit=fit,
    classifier=CcliClassifier,
    texts=(*HEAD_TEXTS, "concepts"),
    needs=frozenset({"labels"}),
    varies=frozenset({"shots", "seed"}),
)

VAL = val_form(METHOD, config=CcliValConfig, fit=fit_on_val)
