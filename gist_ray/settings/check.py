"""The check of a composed config: all problems at once, each with what was seen and the fix."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from gist_ray.errors import UserError
from gist_ray.settings.declare import ByName, InputFile, InputPath
from gist_ray.store import storage
from gist_ray.store.reachable import is_pattern, why_missing
from gist_ray.store.s3 import holds_credentials

CREDENTIALS_FIX = (
    "holds credentials, which would be written down with the config. Take them out of the address "
    "and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role in the environment."
)


def build(config_type: type, values: dict[str, Any]) -> Any:
    """Returns the checked settings object of a composed config.

    Raises UserError with every unknown key, wrong type and impossible value at once, and with the
    files that are not there: those who mend one want to know of the other. Credentials in a value
    are told alone, for the other findings show values.
    """
    if secrets := credential_problems(values):
        raise UserError(secrets)
    try:
        return TypeAdapter(config_type).validate_python(values)
    except ValidationError as error:
        problems = [*_sentences(config_type, error), *missing_files(config_type, values)]
        raise UserError(problems) from error


def credential_problems(values: Any, key: str = "") -> list[str]:
    """Returns the settings whose value holds credentials, without showing them."""
    if isinstance(values, str):
        return [f"{key}: {CREDENTIALS_FIX}"] if holds_credentials(values) else []
    if isinstance(values, Mapping):
        inner = [(f"{key}.{name}".lstrip("."), value) for name, value in values.items()]
    else:
        inner = [(key, value) for value in values] if isinstance(values, list) else []
    return [problem for name, value in inner for problem in credential_problems(value, name)]


def missing_files(config_type: type, values: Mapping[str, Any]) -> list[str]:
    """Returns the settings marked InputFile or InputPath that name nothing that is there; `values`
    need not be valid otherwise."""
    problems = []
    for key, mark, uri in _inputs(config_type, values):
        if is_pattern(uri):
            continue
        why = why_missing(uri)
        if not why and mark is InputFile and storage.is_folder(uri):
            why = "is a folder and has to be a file"
        problems += [f"{key}={uri}: {why}."] if why else []
    return problems


def _inputs(
    config_type: Any, values: Mapping[str, Any], key: str = ""
) -> Iterator[tuple[str, type, str]]:
    """(key, mark, URI) of the marked settings that have a value."""
    seen: set[str] = set()
    for leaf in _leaves(config_type):
        declared: Mapping[str, Any] = getattr(leaf, "__pydantic_fields__", {})
        for name, field in declared.items():
            value, path = values.get(name), f"{key}.{name}".lstrip(".")
            if isinstance(value, Mapping):
                yield from _inputs(field.annotation, value, path)
            elif isinstance(value, str) and value and path not in seen:
                seen.add(path)
                for mark in (InputFile, InputPath):
                    if mark in field.metadata:
                        yield path, mark, value


def _sentences(config_type: type, error: ValidationError) -> list[str]:
    """Pydantic's findings as key, what was seen, what is wrong, and the fix."""
    sentences = []
    wrong_values: dict[str, list[str]] = {}
    for found in error.errors():
        path = _without_union_tags(config_type, found["loc"])
        key = ".".join(str(part) for part in path) or "config"
        if found["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            fix = _fix_of_unknown(config_type, path)
            sentences.append(f"{key}: there is no such setting. {fix}")
        elif found["type"] == "missing":
            choose = f"Choose its group, such as {path[0]}=..., or set it."
            sentences.append(f"{key}: is not set. {choose}")
        else:
            seen = "" if isinstance(found["input"], dict) else f"={found['input']!r}"
            message = re.sub(r"^Value error, ", "", found["msg"])
            # one finding for each alternative that the value could have been
            wrong_values.setdefault(f"{key}{seen}", []).append(message)
    return [
        *(f"{place}: {', or: '.join(messages)}." for place, messages in wrong_values.items()),
        *sentences,
    ]


def _fix_of_unknown(config_type: type, path: list[Any]) -> str:
    known = _field_names(config_type, path[:-1])
    if path[-1] in known:
        return f"It belongs to another choice of {path[-2]}."
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"There are: {', '.join(sorted(known))}." if known else f"{path[-2]} has no settings."


def _without_union_tags(config_type: type, loc: tuple[Any, ...]) -> list[Any]:
    """The path of a finding without the alternatives that pydantic tried: it puts the tag of a
    union's member before what is inside it."""
    path: list[Any] = []
    for place, part in enumerate(loc):
        is_last = place == len(loc) - 1
        is_tried = isinstance(part, str) and part.startswith(("constrained", "literal"))
        alternatives = [t for t in _types_at(config_type, path) if is_dataclass(t)]
        is_tag = len(alternatives) > 1 and part not in _field_names(config_type, path)
        if is_tried or (is_tag and not is_last):
            continue
        path.append(part)
    return path


def _types_at(config_type: Any, path: list[Any]) -> list[Any]:
    """The types that a place of the config may have: several where it is a union."""
    types = [config_type]
    for part in path:
        annotations = [_annotations(t).get(str(part)) for t in types]
        types = [leaf for annotation in annotations for leaf in _leaves(annotation)]
    return types


def _field_names(config_type: Any, path: list[Any]) -> list[str]:
    """Names of the settings at a place of the config; of all alternatives where it is a union."""
    return [name for t in _types_at(config_type, path) for name in _annotations(t)]


def _annotations(config_type: Any) -> dict[str, Any]:
    """{setting: its type} of a settings class, those that it inherits too, or of a ByName mark;
    nothing for any other type."""
    if isinstance(config_type, ByName):
        return dict(config_type.types())
    if is_dataclass(config_type):
        return {field.name: field.type for field in fields(config_type)}
    return {}


def _leaves(annotation: Any) -> list[Any]:
    """The classes inside Annotated, unions and lists."""
    arguments = [a for a in get_args(annotation) if not isinstance(a, str)]
    if get_origin(annotation) is None or not arguments:
        return [annotation]
    return [leaf for argument in arguments for leaf in _leaves(argument)]
