"""The settings of metrics: their intervals and slices."""

from typing import Annotated

from pydantic import Field, field_validator

from gist_ray.settings.declare import settings


@settings
class EvaluationConfig:
    num_bootstrap: Annotated[int, Field(ge=1)] = 1000
    """Resamples of the test set for the intervals, 1 or more; with fewer than 100 the ends of an
    interval are imprecise."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Probability that an interval covers the true value, between 0 and 1."""

    slices: list[str] = Field(default_factory=list)
    """Attributes of the images, such as skin_tone, site or group: the metrics on every test set
    are also told for the images of each of their values (docs/slices.md)."""

    @field_validator("slices")
    @classmethod
    def _once_each(cls, values: list[str]) -> list[str]:
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there more than once")
        return values
