"""How classifiers are fitted and measured."""

from typing import Annotated, Literal

from pydantic import Field

from gist_ray.settings.declare import settings


@settings
class EvaluationConfig:
    probe: Literal["logistic", "sgd"] = "logistic"
    """The linear probe: logistic (L2 logistic regression, C chosen on val by CoOp's search) or sgd
    (GIST's recipe)."""

    best_texts_m: Annotated[int, Field(ge=1)] = 3
    """zero_shot_best_texts: a class's score is the mean of its m texts most similar to the image,
    1 or more; all texts where a class has fewer."""

    num_bootstrap: Annotated[int, Field(ge=1)] = 1000
    """Resamples of the test set for the intervals, 1 or more; fewer than 100 make ragged ends."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Probability that an interval covers the true value, between 0 and 1."""

    feature_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """The probes see L2-normalised features times this. With unit length the useful C leaves the
    searched range; 10 is near the length of CLIP's raw features. Our choice."""

    max_iter: Annotated[int, Field(ge=1)] = 1000
    """Only for logistic: L-BFGS iterations for each C, 1 or more. CoOp's value."""

    tol: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-6
    """Only for logistic: a fit ends where no component of the gradient of C x summed log-loss +
    |weights|^2 / 2 exceeds this (this times C for C below 1); above 0. The weights are then about
    this close to their optimum, for any number of images and any C."""

    num_search_steps: Annotated[int, Field(ge=0)] = 8
    """Only for logistic: halvings of the range of log C around the best of the coarse grid, 0 or
    more. CoOp's value."""

    sgd_learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    """Only for sgd: step size, above 0. GIST's value."""

    sgd_batch_size: Annotated[int, Field(ge=1)] = 64
    """Only for sgd: images a step, 1 or more. GIST's value."""

    sgd_num_epochs: Annotated[int, Field(ge=1)] = 1000
    """Only for sgd: passes over the training images, 1 or more. GIST's value."""
