"""The settings that decide how images get their texts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gist_ray.settings.declare import MAX_INT32, settings

CLASS_NAME = "class_name"
"""The control without texts: matching is skipped and the caption is made from the class name."""

BLIND_VARIANTS = ("random", "all")
"""Controls whose choice does not depend on similarities."""

DRAWN_VARIANTS = ("random", "sampled")
"""Variants that choose by a seed."""


@settings
class MatchingConfig:
    variant: Literal[
        "topk", "sampled", "mmr", "balanced", "class_name", "random", "all", "any_class"
    ] = "topk"
    """How texts are chosen. Of the image's own class: topk (the k most similar), sampled (k drawn
    with softmax weights), mmr (similar but unlike each other), balanced (texts share the images of
    their class), and the controls random (any k) and all. any_class: the k most similar of all
    texts. class_name: no text, the caption is made from the class name."""

    k: Annotated[int, Field(ge=1, le=MAX_INT32)] = 3
    """How many texts an image keeps, 1 or more; all texts of a class that has fewer.
    Not used by all and class_name."""

    min_similarity: Annotated[float, Field(ge=-1, le=1)] = -1.0
    """Chosen texts with a lower cosine similarity are dropped, -1 to 1; -1 drops none. An image can
    be left without text. Not used by the controls random, all and class_name."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01
    """Only for sampled: a text's weight is exp(similarity / temperature), above 0. Small: like
    topk; large: like random. Default: 1/100, CLIP's own logit scale."""

    diversity: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Only for mmr: weight of being unlike the texts already chosen, 0 to 1; 0 is topk."""

    sinkhorn_epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.02
    """Only for balanced: entropic regularisation in units of cosine similarity, above 0. Smaller
    follows the similarities more sharply and needs more iterations."""

    sinkhorn_iterations: Annotated[int, Field(ge=1)] = 100
    """Only for balanced: how often rows and columns are rescaled, 1 or more."""

    rounds: Annotated[int, Field(ge=1, le=9)] = 1
    """How often matching and fine-tuning happen, 1 to 9. From the second round on the images of the
    sample are matched by the model that the round before has tuned, and the fine-tuning begins
    again from the weights as they came. The study's controls have one round."""

    @model_validator(mode="after")
    def _rounds_look_at_similarities(self) -> "MatchingConfig":
        if self.rounds > 1 and self.variant in (CLASS_NAME, *BLIND_VARIANTS):
            raise ValueError(
                f"rounds={self.rounds} matches again by the tuned model, and variant="
                f"{self.variant} does not look at similarities; set rounds to 1 or choose another "
                "variant"
            )
        return self
