"""How every part of the configuration is declared.

    @settings
    class MatchingConfig:
        k: Annotated[int, Field(ge=1)] = 3
        '''How many texts an image keeps.'''

The dataclasses are the truth: pydantic checks types, ranges and unknown keys and reports every
problem of a config at once, and the docstring under a field is its line in `--help`.
"""

from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

T = TypeVar("T")

MAX_INT32 = 2**31 - 1
"""Largest value of a setting that becomes a column of a table."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
def settings(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass that refuses unknown keys and names its fields' meaning."""
    config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A default of 64 for a float is 64.0 when it comes from a file: what is written out and
        # read again must have the same fingerprint.
        validate_default=True,
    )
    made: Any = dataclass(cls, config=config, kw_only=True, frozen=True)
    return made
