"""Images by the concepts that they show: text concepts, and visual concepts learnt from images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from gist_ray.errors import UserError
from gist_ray.methods.base.best_images import BLOCK_BYTES, best_images
from gist_ray.methods.base.distinct import distinct
from gist_ray.methods.base.linear_classifier import scaled
from gist_ray.methods.base.problem import TextSet


@dataclass(frozen=True)
class ConceptSpace:
    """The concepts and the activations of images.

    concepts: (num_concepts,) phrases. text_concepts and visual_concepts: (num_concepts, dim)
    float32, L2-normalised. means and factors: (2 num_concepts,) float32, those of the training
    images' activations, and 1 / (their standard deviation sqrt(2 num_concepts)). beta: sharpness
    of the visual activations.
    """

    concepts: Sequence[str]
    text_concepts: np.ndarray
    visual_concepts: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    beta: float

    def representation(self, features: np.ndarray) -> np.ndarray:
        """Returns (num_images, 2 num_concepts) float32 for `features` (num_images, dim),
        L2-normalised: the activations of the visual concepts, then of the text concepts,
        standardised, so that a training image has on average length 1."""
        found: np.ndarray = (self.activations(features) - self.means) * self.factors
        return found

    def activations(self, features: np.ndarray) -> np.ndarray:
        """Returns exp(-beta (1 - cosine)) for each visual concept, the cosine for each text
        concept."""
        visual = np.exp(self.beta * (features @ self.visual_concepts.T - 1))
        return np.concatenate([visual, features @ self.text_concepts.T], axis=1)

    def blocks(self, num_images: int) -> Iterator[slice]:
        """Yields consecutive rows of images, of which the activations take about BLOCK_BYTES."""
        size = max(1, BLOCK_BYTES // (8 * len(self.concepts)))
        for start in range(0, num_images, size):
            yield slice(start, min(start + size, num_images))


@dataclass(frozen=True)
class VisualConcepts:
    """Visual concepts and the text concepts that they are of.

    texts: (num_concepts,) indices; vectors: (num_concepts, dim) float32, L2-normalised.
    """

    texts: np.ndarray
    vectors: np.ndarray


def visual_concepts(
    features: np.ndarray, concepts: np.ndarray, *, k: int, floor: float, max_cosine: float
) -> VisualConcepts:
    """Returns the normalised mean of the k images that fit each text concept best (`best_images`).

    A text concept has none if no image scores above `floor`, or if it nearly equals one before it:
    the cosine of the texts is above `max_cosine`, or that of the differences between the mean of
    its images and the mean of all images. The differences count because the images of one domain
    are all near to each other; that is our choice, as is the mean without weights.

    features: (num_images, dim), concepts: (num_text_concepts, dim), both float32, L2-normalised.
    Raises UserError if k is not below the number of images, or no text concept has a visual one.
    """
    if k >= len(features):
        raise UserError(
            f"CCLI-R: {k} images of a concept are all {len(features)} training images, and all "
            "visual concepts would be the same. Lower num_images, or take more shots."
        )
    texts = distinct(concepts, max_cosine)
    best = best_images(features, concepts[texts], k=k, floor=floor)
    is_member = best >= 0
    is_shown = is_member[:, 0]
    if not is_shown.any():
        raise UserError(
            f"CCLI-R: none of {len(texts)} distinct concepts is in a training image: no similarity "
            f"is above floor={floor}. Lower the floor, or give other concepts (texts.concepts)."
        )
    texts, is_member = texts[is_shown], is_member[is_shown]
    counts = is_member.sum(axis=1)
    ends = np.concatenate([[0], np.cumsum(counts)])
    of_members = csr_array(
        (np.repeat(1 / counts, counts), best[is_shown][is_member], ends),
        shape=(len(texts), len(features)),
    )
    means = of_members @ features.astype(np.float64)
    kept = distinct(scaled(means - features.mean(axis=0, dtype=np.float64), 1.0), max_cosine)
    return VisualConcepts(texts[kept], scaled(means[kept], 1.0).astype(np.float32))


def concept_space(
    features: np.ndarray, texts: TextSet, visual: VisualConcepts, *, beta: float
) -> ConceptSpace:
    """Returns the space of the visual concepts and their text concepts, standardised on `features`
    (num_images, dim). A concept whose activation is the same for all images counts nothing."""
    width = 2 * len(visual.texts)
    space = ConceptSpace(
        concepts=[texts.texts[index] for index in visual.texts],
        text_concepts=texts.features[visual.texts],
        visual_concepts=visual.vectors,
        means=np.zeros(width, np.float32),
        factors=np.ones(width, np.float32),
        beta=beta,
    )
    total, squares = np.zeros(width), np.zeros(width)
    for rows in space.blocks(len(features)):
        activations = space.activations(features[rows]).astype(np.float64)
        total += activations.sum(axis=0)
        squares += np.square(activations).sum(axis=0)
    means = total / len(features)
    deviations = np.sqrt(np.maximum(squares / len(features) - np.square(means), 0))
    varies = deviations > 1e-6  # less is rounding
    factors = np.where(varies, 1 / (np.where(varies, deviations, 1) * np.sqrt(width)), 0)
    return replace(space, means=means.astype(np.float32), factors=factors.astype(np.float32))
