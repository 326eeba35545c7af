"""A classifier as a folder: an open_clip model, arrays as safetensors, all else as JSON.

    classifier.json          method, class names, texts, temperature, threshold, where it comes from
    classifier.safetensors   the fitted classifier, as the run stored it
    texts.safetensors        features of the texts that explain predictions
    model/                   what open_clip loads as local-dir:...

Nothing in it is executed, and it needs no run, no store and no network.
"""

import json
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.finetune.export import export_model
from gist_ray.images.limits import ImageLimits
from gist_ray.methods import METHODS
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.base.stored import load_classifier as load_fitted
from gist_ray.methods.base.stored import save_classifier as save_fitted
from gist_ray.predict.classifier import Classifier
from gist_ray.settings.declare import settings
from gist_ray.store import storage

FORMAT = 2
DESCRIPTION_FILE = "classifier.json"
CLASSIFIER_FILE = "classifier.safetensors"
TEXTS_FILE = "texts.safetensors"
MODEL_FOLDER = "model"


@settings
class ClassText:
    """A text of a class, by which predictions are explained."""

    label: Annotated[int, Field(ge=0)]
    text: str


@settings
class Description:
    """The contents of classifier.json."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    method: str
    class_names: Annotated[list[str], Field(min_length=1)]
    texts: list[ClassText]
    temperature: Annotated[float, Field(gt=0)]
    threshold: Annotated[float, Field(ge=0)]
    limits: ImageLimits = Field(default_factory=ImageLimits)
    """Of the run's `embed`."""

    about: dict[str, Any]


def save_classifier(classifier: Classifier, model_name: str, folder: str) -> None:
    """Writes the folder of a classifier. model_name: open_clip's name of the model it was loaded
    from.

    Until all is written the folder is no classifier, also where it was another one before.
    """
    storage.delete(storage.join(folder, DESCRIPTION_FILE))
    clip, texts = classifier.clip, classifier.class_texts
    export_model(clip, model_name, storage.join(folder, MODEL_FOLDER))
    save_fitted(classifier.fitted, storage.join(folder, CLASSIFIER_FILE))
    arrays = {}
    if texts is not None:
        arrays = {
            "features": np.ascontiguousarray(texts.features),
            "labels": np.ascontiguousarray(texts.labels),
        }
    storage.write_bytes(storage.join(folder, TEXTS_FILE), save(arrays))
    description = Description(
        format=FORMAT,
        method=classifier.method,
        class_names=list(classifier.class_names),
        texts=[
            ClassText(label=int(label), text=text)
            for label, text in zip(texts.labels, texts.texts, strict=True)
        ]
        if texts
        else [],
        temperature=classifier.temperature,
        threshold=classifier.threshold,
        limits=classifier.limits,
        about=classifier.about,
    )
    # last, for it makes the folder a classifier
    storage.write_json(storage.join(folder, DESCRIPTION_FILE), asdict(description))


def load_classifier(uri: str, *, device: str = "cpu", precision: str = "fp32") -> Classifier:
    """Returns the classifier of a folder, local or s3://.

    device: torch's name of it; precision: fp32, bf16 or fp16, of the image tower. Raises UserError
    for a folder that is none, or one that is damaged.
    """
    description = read_description(uri)
    try:
        arrays = load(storage.read_bytes(storage.join(uri, TEXTS_FILE)))
        texts = _texts(description, arrays)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{uri}/{TEXTS_FILE}: is not that of {DESCRIPTION_FILE} beside it "
            f"({type(error).__name__}: {error}). Export the classifier again."
        ) from error
    fitted = load_fitted(storage.join(uri, CLASSIFIER_FILE), METHODS[description.method].classifier)
    found = Classifier(
        clip=load_clip(model_of(uri), device=device, precision=precision),
        fitted=fitted,
        method=description.method,
        class_names=description.class_names,
        class_texts=texts,
        temperature=description.temperature,
        threshold=description.threshold,
        limits=description.limits,
        about=description.about,
    )
    _check_sizes(uri, found)
    return found


def _check_sizes(uri: str, found: Classifier) -> None:
    """Raises UserError where the arrays are of other classes or another model."""
    try:
        probe = np.ones((1, found.clip.model.visual.output_dim), np.float32)
        num_classes = found.fitted.logits(probe).shape[1]
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{uri}/{CLASSIFIER_FILE}: does not fit the model beside it ({error}). Export the "
            "classifier again."
        ) from error
    if num_classes != len(found.class_names):
        raise UserError(
            f"{uri}/{CLASSIFIER_FILE}: has {num_classes} classes where {DESCRIPTION_FILE} names "
            f"{len(found.class_names)}. Export the classifier again."
        )


def model_of(uri: str) -> ClipConfig:
    return ClipConfig(model=f"local-dir:{storage.join(uri, MODEL_FOLDER)}")


def read_description(uri: str) -> Description:
    """Returns the contents of classifier.json. Raises UserError if there is no valid one."""
    file = storage.join(uri, DESCRIPTION_FILE)
    try:
        found: Description = TypeAdapter(Description).validate_python(storage.read_json(file))
    except FileNotFoundError as error:
        raise UserError(
            f"{uri}: there is no {DESCRIPTION_FILE} here. Export one with `gist-ray export`."
        ) from error
    except (json.JSONDecodeError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        place = ".".join(str(part) for part in first.get("loc", ()))
        raise UserError(f"{file}: {place} {first['msg']}. Export the classifier again.") from error
    if found.method not in METHODS:
        raise UserError(f"{file}: method {found.method!r} is unknown. Export the classifier again.")
    return found


def _texts(description: Description, arrays: dict[str, np.ndarray]) -> TextSet | None:
    if not description.texts:
        return None
    labels = np.array([text.label for text in description.texts], np.int64)
    features = arrays["features"]
    if len(features) != len(labels) or (arrays["labels"] != labels).any():
        raise ValueError("other texts")
    return TextSet([text.text for text in description.texts], features, labels)
