"""The settings of the intervals of metrics."""

from typing import Annotated

from pydantic import Field

from gist_ray.settings.declare import settings


@settings
class EvaluationConfig:
    num_bootstrap: Annotated[int, Field(ge=1)] = 1000
    """Resamples of the test set for the intervals, 1 or more; with fewer than 100 the ends of an
    interval are imprecise."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Probability that an interval covers the true value, between 0 and 1."""
