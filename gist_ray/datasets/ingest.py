"""Reads and checks a data set on disk or S3, and makes its manifest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets import lines
from gist_ray.datasets.aircraft import read_aircraft
from gist_ray.datasets.alike import alike_problems, first_places, joined
from gist_ray.datasets.checks import image_problems, name_problems
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.coop_split import read_coop_split
from gist_ray.datasets.copies import (
    about_copies,
    copy_problems,
    equal_pictures_of,
    without_copies,
)
from gist_ray.datasets.cub import read_cub
from gist_ray.datasets.cut_groups import cut_groups
from gist_ray.datasets.equal_pictures import EqualPictures
from gist_ray.datasets.excluded import counted, not_excluded, read_excluded
from gist_ray.datasets.fitzpatrick import read_fitzpatrick17k, read_fitzpatrick40
from gist_ray.datasets.flowers import read_flowers
from gist_ray.datasets.image_folder import read_image_folder
from gist_ray.datasets.packed import read_packed
from gist_ray.datasets.parquet_images import read_parquet_images
from gist_ray.datasets.reading import ClassEntry, Reading, locations
from gist_ray.datasets.shard_files import is_pattern
from gist_ray.datasets.splits import complete_splits, has_groups
from gist_ray.datasets.user_manifest import read_user_manifest
from gist_ray.datasets.webdataset import read_webdataset
from gist_ray.errors import UserError, listed
from gist_ray.schema import ERRORS, MANIFEST, stable_ids, table
from gist_ray.store import storage

READERS: dict[str, Callable[[DataConfig], Reading]] = {
    "image_folder": read_image_folder,
    "manifest": read_user_manifest,
    "cub": read_cub,
    "flowers": read_flowers,
    "aircraft": read_aircraft,
    "fitzpatrick17k": read_fitzpatrick17k,
    "fitzpatrick40": read_fitzpatrick40,
    "coop_split": read_coop_split,
    "packed": read_packed,
}
INDEXED_READERS: dict[str, Callable[[DataConfig, str], Reading]] = {
    "webdataset": read_webdataset,
    "parquet_images": read_parquet_images,
}
"""Readers that keep an index of each large file, in a folder (the second argument)."""


@dataclass(frozen=True)
class Ingested:
    """A data set as a run works on it, and what was understood of its files."""

    root: str
    """The folder that its relative paths are of."""

    manifest: pa.Table
    """MANIFEST, in the order of the files."""

    errors: pa.Table
    """ERRORS: the rows that cannot be used."""

    left_out: Mapping[str, int]
    """As in `Reading`."""

    drawn: Mapping[str, str]
    """{split: how it came about} of splits that the data set does not have itself."""

    notes: Sequence[str]
    """As in `Checked`."""


@dataclass(frozen=True)
class Checked:
    """A data set that has passed every check."""

    reading: Reading
    ids: pa.Array
    """The id of each image."""
    names: list[str]
    """The display name of each label."""
    notes: Sequence[str]
    """Lines on pictures that are there several times, and on settings that did not fit."""


def ingest(config: DataConfig, indices: str = "") -> Ingested:
    """Returns the data set with its manifest and its bad rows.

    indices: the folder for indexes of large files; "" for one in the cache folder.
    Raises UserError with every problem of the data set.
    """
    found = read_checked(config, indices)
    reading = found.reading
    manifest = to_manifest(reading.root, reading.images, ids=found.ids, names=found.names)
    together = ", groups kept together" if has_groups(reading.images) else ""
    return Ingested(
        reading.root,
        manifest,
        table(reading.errors, ERRORS),
        reading.left_out,
        {split: f"{one.how}{together}" for split, one in reading.drawn.items()},
        found.notes,
    )


def read_checked(config: DataConfig, indices: str = "") -> Checked:
    """Reads and checks a data set. indices: as in `ingest`. Raises UserError with every problem."""
    check_there(config)
    indices = indices or str(storage.cache_folder() / "indices")
    if config.layout in INDEXED_READERS:
        reading = INDEXED_READERS[config.layout](config, indices)
    else:
        reading = READERS[config.layout](config)
    problems: list[str] = []
    names = display_names(
        reading.root, reading.classes, class_names=config.class_names, problems=problems
    )
    if config.join_alike:
        images, classes, names = joined(reading.images, reading.classes, names)
        reading = replace(reading, images=images, classes=classes)
    reading, equal = _with_splits(reading, config, indices)
    ids = image_ids(reading.images)
    notes: list[str] = []
    if config.exclude:
        excluded = read_excluded(config.exclude)
        why, notes = counted(ids, excluded, config.exclude)
        stays = not_excluded(ids, excluded)
        # the splits are drawn before: those of the other images stay as the list found them
        images, ids = reading.images.filter(stays), ids.filter(stays)
        reading = replace(reading, images=images, left_out={**reading.left_out, **why})
        equal = equal.of(stays.to_numpy(zero_copy_only=False)) if equal is not None else None
    if equal is not None:
        notes += about_copies(reading.images, equal)
        if config.duplicates == "error":
            problems += copy_problems(reading, equal)
    problems += name_problems(reading.root, names)
    problems += alike_problems(
        reading.root, reading.classes, names, places=first_places(reading.images)
    )
    problems += image_problems(reading, ids)
    if config.group_column:
        problems += cut_groups(reading, config.group_column)
    if problems:
        raise UserError(problems)
    return Checked(reading, ids, names, notes)


def _with_splits(
    reading: Reading, config: DataConfig, indices: str
) -> tuple[Reading, EqualPictures | None]:
    """Returns the data set with all its splits and, unless they are dropped, with its equal
    pictures; these are None where they are ignored."""
    equal = None if config.duplicates == "ignore" else equal_pictures_of(reading, config, indices)
    if equal is not None and config.duplicates == "drop":
        reading, equal = without_copies(reading, equal)
    equal_to = None if equal is None else equal.first
    images = complete_splits(reading.images, reading.drawn, config.seed, equal_to=equal_to)
    return replace(reading, images=images), equal


def check_there(config: DataConfig) -> None:
    """Raises UserError if there is nothing at `config.path`. A pattern is checked by its reader."""
    if config.layout in INDEXED_READERS and is_pattern(config.path):
        return
    if not storage.exists(config.path):
        raise UserError(f"{config.path}: the data set is not there. Correct the setting path.")


def image_ids(images: pa.Table) -> pa.Array:
    """Returns the id of each image of an IMAGES table: its own, or a hash of its path."""
    given = images.column("image_id").combine_chunks()
    has_none = pc.equal(given, "")
    hashed = stable_ids(images.column("path").filter(has_none).to_pylist())
    return pc.replace_with_mask(given, has_none, pa.array(hashed, pa.string()))


def to_manifest(root: str, images: pa.Table, *, ids: pa.Array, names: list[str]) -> pa.Table:
    """Returns an IMAGES table as a MANIFEST table. names: the display name of each label."""
    labels = images.column("label")
    columns = {
        "image_id": ids,
        "uri": locations(root, images.column("path")),
        "label": labels,
        "class_name": pa.array(names, pa.string()).take(labels),
        "split": images.column("split"),
        "group": images.column("group"),
        "attributes": images.column("attributes"),
    }
    return pa.table(columns, schema=MANIFEST)


def display_names(
    root: str, classes: list[ClassEntry], *, class_names: str, problems: list[str]
) -> list[str]:
    """Returns the display name of each label, from the file `class_names` or else from the layout,
    with white space collapsed. Adds what is wrong to `problems`."""
    given = lines.read_json(class_names, problems) if class_names else {}
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given.values()):
        problems.append(f"{class_names}: is not a JSON object {{class: display name}}.")
        given = {}
    used = [next((key for key in entry.keys if key in given), None) for entry in classes]
    unknown = given.keys() - set(used)
    not_named = [entry.keys[0] for entry, key in zip(classes, used, strict=True) if not key]
    # a file may name further classes; if it also misses some, its keys may be misspelt
    if unknown and not_named:
        problems.append(
            f"{class_names}: {listed(sorted(unknown))} are no classes, and there are no names for "
            f"{listed(not_named)}. Correct the keys."
        )
    names = [
        " ".join((given[key] if key else entry.name or "").split())
        for entry, key in zip(classes, used, strict=True)
    ]
    nameless = [entry.keys[0] for entry, name in zip(classes, names, strict=True) if not name]
    if nameless:
        problems.append(
            f"{root}: the classes {listed(nameless)} have no display name. Set class_names "
            'to a JSON file such as {"1": "pink primrose", ...}.'
        )
    return names
