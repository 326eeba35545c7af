"""How every part of the configuration is declared, and which of it decides an artifact.

    @settings
    class MatchingConfig:
        k: Annotated[int, Field(ge=1)] = 3
        '''How many texts an image keeps.'''

The dataclasses are the truth: pydantic checks types, ranges and unknown keys and reports every
problem of a config at once, and the docstring under a field is its line in `--help`. A field
declared `Annotated[T, Runtime]` changes where or how fast a stage runs, never its artifact.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails, core_schema

T = TypeVar("T")

MAX_INT32 = 2**31 - 1
"""Largest value of a setting that becomes a column of a table."""


class Runtime:
    """Marks a setting that changes no artifact, as in `Annotated[int, Field(ge=1), Runtime]`.

    Every field without the mark is part of a stage's identity: a mark that was forgotten costs time
    (the artifact is made again), never truth.
    """


class InputFile:
    """Marks a setting that names a file which has to be there before any work; "" names none."""


class InputPath:
    """Marks a setting that names a file or a folder which has to be there before any work."""


class ByName:
    """Marks a setting {name: its settings} where each name has a settings class of its own, as in
    `Annotated[dict[str, Any], ByName(types)]`.

    types: returns {name: settings class}. It is called for every check, so that a name may be added
    while the program runs.
    """

    def __init__(self, types: Callable[[], Mapping[str, type]]) -> None:
        self.types = types

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        types = self.types()
        checked: dict[str, Any] = {}
        problems: list[InitErrorDetails] = []
        for name, values in given.items():
            if name not in types:
                unknown = InitErrorDetails(type="extra_forbidden", loc=(name,), input=values)
                problems.append(unknown)
                continue
            try:
                # a file with comments alone is read as null
                checked[name] = TypeAdapter(types[name]).validate_python(values or {})
            except ValidationError as error:
                problems += [
                    InitErrorDetails(
                        type=found["type"],
                        loc=(name, *found["loc"]),
                        input=found["input"],
                        ctx=found.get("ctx", {}),
                    )
                    for found in error.errors()
                ]
        if problems:
            raise ValidationError.from_exception_data("settings", problems)
        return checked


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
    for base in cls.__mro__[1:]:  # pydantic (2.14) takes the docstrings of the own fields only
        for name, field in getattr(base, "__pydantic_fields__", {}).items():
            made.__pydantic_fields__[name].description = (
                made.__pydantic_fields__[name].description or field.description
            )
    return made


def identity_of(value: Any) -> Any:
    """Returns `value` as plain values without the fields that are marked `Runtime`, at any depth.

    value: a settings object, or a list or dict of them; anything else is returned as it is.
    """
    if is_dataclass(value) and not isinstance(value, type):
        declared = type(value).__pydantic_fields__  # type: ignore[attr-defined]
        return {
            field.name: identity_of(getattr(value, field.name))
            for field in fields(value)
            if Runtime not in declared[field.name].metadata
        }
    if isinstance(value, Mapping):
        return {name: identity_of(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [identity_of(inner) for inner in value]
    return value
