"""Turns a data set on disk or S3 into the manifest that every later stage reads."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable

import pyarrow as pa

from gist_ray import storage
from gist_ray.datasets import lines
from gist_ray.datasets.aircraft import read_aircraft
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.coop_split import read_coop_split
from gist_ray.datasets.cub import read_cub
from gist_ray.datasets.fitzpatrick import read_fitzpatrick17k, read_fitzpatrick40
from gist_ray.datasets.flowers import read_flowers
from gist_ray.datasets.image_folder import read_image_folder
from gist_ray.datasets.reading import LabelledImage, Reading, is_unicode, listed, locate
from gist_ray.datasets.user_manifest import read_user_manifest
from gist_ray.errors import UserError
from gist_ray.schema import ERRORS, MANIFEST, SPLITS, stable_id, table

READERS: dict[str, Callable[[DataConfig], Reading]] = {
    "image_folder": read_image_folder,
    "manifest": read_user_manifest,
    "cub": read_cub,
    "flowers": read_flowers,
    "aircraft": read_aircraft,
    "fitzpatrick17k": read_fitzpatrick17k,
    "fitzpatrick40": read_fitzpatrick40,
    "coop_split": read_coop_split,
}


def ingest(config: DataConfig) -> tuple[pa.Table, pa.Table]:
    """The data set as a MANIFEST table in the order of its files, and its bad rows as ERRORS.

    Raises UserError with every problem of the data set.
    """
    if not storage.exists(config.path):
        raise UserError(f"{config.path}: the data set is not there. Correct the setting path.")
    reading = READERS[config.layout](config)
    problems: list[str] = []
    names = _display_names(reading, config.class_names, problems)
    ids = [image.image_id or stable_id(image.path) for image in reading.images]
    problems += _check(reading, ids)
    if problems:
        raise UserError(problems)
    rows = (
        {
            "image_id": image_id,
            "uri": locate(reading.root, image.path),
            "label": image.label,
            "class_name": None if image.label is None else names[image.label],
            "split": image.split,
            "attributes": json.dumps(image.attributes, default=str),
        }
        for image_id, image in zip(ids, reading.images, strict=True)
    )
    return table(rows, MANIFEST), table(reading.errors, ERRORS)


def _display_names(reading: Reading, class_names: str, problems: list[str]) -> list[str]:
    """The display name of each label, from the class_names file first, then from the layout."""
    given = lines.read_json(class_names, problems) if class_names else {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        problems.append(f"{class_names}: is not a JSON object {{class: display name}}.")
        given = {}
    used = [next((key for key in entry.keys if key in given), None) for entry in reading.classes]
    unknown = given.keys() - set(used)
    not_named = [entry.keys[0] for entry, key in zip(reading.classes, used, strict=True) if not key]
    # a file that names more classes than there are is fine, one that misses some may be misspelt
    if unknown and not_named:
        problems.append(
            f"{class_names}: {listed(sorted(unknown))} are no classes, and there are no names for "
            f"{listed(not_named)}. Correct the keys."
        )
    names = [
        (given[key] if key else entry.name or "").strip()
        for entry, key in zip(reading.classes, used, strict=True)
    ]
    nameless = [
        entry.keys[0] for entry, name in zip(reading.classes, names, strict=True) if not name
    ]
    if nameless:
        problems.append(
            f"{reading.root}: the classes {listed(nameless)} have no display name. Set class_names "
            'to a JSON file such as {"1": "pink primrose", ...}.'
        )
    return names


def _check(reading: Reading, ids: list[str]) -> list[str]:
    """What every data set has to satisfy, whatever its layout."""
    if not reading.images:
        problem = f"{reading.root}: has no usable image."
        if reading.errors:
            first = reading.errors[0]["message"]
            problem += f" The first of {len(reading.errors)} bad rows: {first}"
        return [problem]
    problems = []
    splits_by_label: dict[int, Counter[str]] = defaultdict(Counter)
    images_by_id: dict[str, list[LabelledImage]] = defaultdict(list)
    for image_id, image in zip(ids, reading.images, strict=True):
        images_by_id[image_id].append(image)
        if image.label is not None:
            splits_by_label[image.label][image.split] += 1
        if image.split not in SPLITS or (image.label is None and image.split != "unlabeled"):
            problems.append(f"{image.where or image.path}: split {image.split!r} does not fit.")
        if not is_unicode(image_id + image.path):
            problems.append(f"{image.where}: {image.path!r} is not Unicode text. Rename the file.")
    for image_id, same in images_by_id.items():
        if len(same) > 1:
            wheres = listed([image.where or image.path for image in same], 3)
            problems.append(f"The image {image_id} ({same[0].path}) is there twice: {wheres}.")

    def shown(labels: list[int]) -> str:
        return listed([reading.classes[label].keys[0] for label in labels])

    empty = [label for label in range(len(reading.classes)) if label not in splits_by_label]
    if empty:
        problems.append(f"{reading.root}: the classes {shown(empty)} have no images.")
    untrained = sorted(
        label
        for label, splits in splits_by_label.items()
        if not splits["train"] and splits["val"] + splits["test"]
    )
    if untrained:
        problems.append(
            f"{reading.root}: the classes {shown(untrained)} have images in val or test but none "
            "in train. Give them training images or leave them out."
        )
    if len(problems) > lines.MAX_LINES_REPORTED:
        every, problems = problems, []
        lines.report_broken(reading.root, every, problems)
    return problems
