"""A classifier as a folder: an open_clip model, the head as safetensors, all else as JSON.

    classifier.json       class names, texts, temperature, threshold, where it comes from
    head.safetensors      weight and bias, or nothing but the texts' features
    model/                what open_clip loads as local-dir:...

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
from gist_ray.encoders.config import ClipConfig, ImageLimits
from gist_ray.errors import UserError
from gist_ray.finetune.checkpoint import export_model
from gist_ray.methods.heads import BestTexts, ClassTexts, Head
from gist_ray.methods.probe import Probe
from gist_ray.predict.classifier import Classifier
from gist_ray.settings.declare import settings
from gist_ray.store import storage

FORMAT = 1
CLASSIFIER_FILE = "classifier.json"
HEAD_FILE = "head.safetensors"
MODEL_FOLDER = "model"


@settings
class ClassText:
    """A text of a class, by which predictions are explained."""

    label: Annotated[int, Field(ge=0)]
    text: str


@settings
class Description:
    """What classifier.json holds."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    class_names: Annotated[list[str], Field(min_length=1)]
    texts: list[ClassText]
    best_texts_m: Annotated[int, Field(ge=1)] | None
    """Texts per class that the score averages; null for a linear head."""

    feature_scale: Annotated[float, Field(gt=0)]
    """Length of the features that a linear head sees; CLIP's logit scale for zero-shot heads."""

    temperature: Annotated[float, Field(gt=0)]
    threshold: Annotated[float, Field(ge=0)]
    limits: ImageLimits = Field(default_factory=ImageLimits)
    """Of the run's `embed`."""

    about: dict[str, Any]


def save_classifier(classifier: Classifier, model_name: str, folder: str) -> None:
    """Write all of it; model_name: open_clip's name of the model it was loaded from."""
    clip = classifier.clip
    export_model(
        {key: value.detach().cpu() for key, value in clip.model.state_dict().items()},
        model_name,
        clip.preprocess,
        clip.tokenizer,
        storage.join(folder, MODEL_FOLDER),
    )
    _save_head(classifier, folder)  # last: it is what makes the folder a classifier


def _save_head(classifier: Classifier, folder: str) -> None:
    head, texts = classifier.head, classifier.class_texts
    arrays: dict[str, np.ndarray] = {}
    if isinstance(head, Probe):
        arrays |= {"weight": head.weight, "bias": head.bias}
    if texts is not None:
        arrays |= {"text_features": texts.features, "text_labels": texts.labels}
    description = Description(
        format=FORMAT,
        class_names=list(classifier.class_names),
        texts=[
            ClassText(label=int(label), text=text)
            for label, text in zip(texts.labels, texts.texts, strict=True)
        ]
        if texts
        else [],
        best_texts_m=None if isinstance(head, Probe) else head.m,
        feature_scale=head.feature_scale if isinstance(head, Probe) else head.logit_scale,
        temperature=classifier.temperature,
        threshold=classifier.threshold,
        limits=classifier.limits,
        about=classifier.about,
    )
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    storage.write_bytes(storage.join(folder, HEAD_FILE), save(contiguous))
    storage.write_json(storage.join(folder, CLASSIFIER_FILE), asdict(description))


def load_classifier(uri: str, *, device: str = "cpu", precision: str = "fp32") -> Classifier:
    """The classifier of a folder, local or s3://.

    device: torch's name of it; precision: fp32, bf16 or fp16, of the image tower. Raises UserError
    for a folder that is none, or one that is damaged.
    """
    description = read_description(uri)
    try:
        arrays = load(storage.read_bytes(storage.join(uri, HEAD_FILE)))
        texts = _texts(description, arrays)
        head = _head(description, arrays, texts)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"{uri}/{HEAD_FILE}: is not the head of {CLASSIFIER_FILE} beside it "
            f"({type(error).__name__}: {error}). Export the classifier again."
        ) from error
    return Classifier(
        load_clip(model_of(uri), device=device, precision=precision),
        head,
        description.class_names,
        texts,
        description.temperature,
        description.threshold,
        description.limits,
        description.about,
    )


def model_of(uri: str) -> ClipConfig:
    return ClipConfig(model=f"local-dir:{storage.join(uri, MODEL_FOLDER)}")


def read_description(uri: str) -> Description:
    """Raises UserError where there is no valid classifier.json."""
    file = storage.join(uri, CLASSIFIER_FILE)
    try:
        return TypeAdapter(Description).validate_python(storage.read_json(file))
    except FileNotFoundError as error:
        raise UserError(
            f"{uri}: there is no {CLASSIFIER_FILE} here. Export one with jobs/export.py."
        ) from error
    except (json.JSONDecodeError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        place = ".".join(str(part) for part in first.get("loc", ()))
        raise UserError(f"{file}: {place} {first['msg']}. Export the classifier again.") from error


def _texts(description: Description, arrays: dict[str, np.ndarray]) -> ClassTexts | None:
    if not description.texts:
        return None
    labels = np.array([text.label for text in description.texts], np.int64)
    features = arrays["text_features"]
    if len(features) != len(labels) or (arrays["text_labels"] != labels).any():
        raise ValueError("other texts")
    return ClassTexts([text.text for text in description.texts], features, labels)


def _head(
    description: Description, arrays: dict[str, np.ndarray], texts: ClassTexts | None
) -> Head:
    num_classes = len(description.class_names)
    if description.best_texts_m is None:
        weight, bias = arrays["weight"], arrays["bias"]
        if len(weight) != num_classes or bias.shape != (num_classes,):
            raise ValueError(f"{len(weight)} rows for {num_classes} classes")
        return Probe(weight, bias, description.feature_scale, c=None)
    if texts is None:
        raise ValueError("no texts")
    return BestTexts(
        texts.features,
        texts.labels,
        num_classes,
        description.best_texts_m,
        description.feature_scale,
    )
