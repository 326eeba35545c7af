"""A fitted classifier as one safetensors file: arrays as tensors, numbers in its metadata.

Nothing in the file is executed, whoever wrote it.
"""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gist_ray.errors import UserError
from gist_ray.methods.base.problem import Classifier
from gist_ray.store import storage

NUMBERS = "numbers"


def save_classifier(classifier: Classifier, uri: str) -> None:
    """Writes the fields of a classifier: arrays, and numbers, strings or None."""
    values = {field.name: getattr(classifier, field.name) for field in fields(classifier)}  # type: ignore[arg-type]
    arrays = {
        name: np.ascontiguousarray(value)
        for name, value in values.items()
        if isinstance(value, np.ndarray)
    }
    numbers = {name: value for name, value in values.items() if name not in arrays}
    storage.write_bytes(uri, save(arrays, metadata={NUMBERS: json.dumps(numbers)}))


def load_classifier(uri: str, classifier_type: Callable[..., Classifier]) -> Classifier:
    """Returns the stored classifier of a type.

    Raises UserError where the file is missing or damaged, or holds another kind of classifier.
    """
    try:
        data = storage.read_bytes(uri)
        values: dict[str, Any] = {**load(data), **_numbers(data)}
        return classifier_type(**values)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{uri}: is not a stored classifier of this method ({type(error).__name__}: {error}). "
            "Delete the folder and make it again."
        ) from error


def _numbers(data: bytes) -> dict[str, Any]:
    """Returns the numbers in the header, which begins after its length (8 bytes, little-endian)."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    numbers: dict[str, Any] = json.loads(header["__metadata__"][NUMBERS])
    return numbers
