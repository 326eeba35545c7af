"""Reads and checks a data set on disk or S3, and makes its manifest."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets import lines
from gist_ray.datasets.aircraft import read_aircraft
from gist_ray.datasets.alike import alike_problems, first_places, joined
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.coop_split import read_coop_split
from gist_ray.datasets.cub import read_cub
from gist_ray.datasets.excluded import counted, not_excluded, read_excluded
from gist_ray.datasets.fitzpatrick import read_fitzpatrick17k, read_fitzpatrick40
from gist_ray.datasets.flowers import read_flowers
from gist_ray.datasets.image_folder import read_image_folder
from gist_ray.datasets.packed import read_packed
from gist_ray.datasets.parquet_images import read_parquet_images
from gist_ray.datasets.reading import ClassEntry, Reading, locations
from gist_ray.datasets.shard_files import is_pattern
from gist_ray.datasets.splits import counts_of_splits
from gist_ray.datasets.user_manifest import read_user_manifest
from gist_ray.datasets.webdataset import read_webdataset
from gist_ray.errors import UserError, listed
from gist_ray.schema import ERRORS, MANIFEST, SPLITS, is_test, stable_ids, table
from gist_ray.store import storage
from gist_ray.store.s3 import CREDENTIALS

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

    manifest: pa.Table
    """MANIFEST, in the order of the files."""

    errors: pa.Table
    """ERRORS: the rows that cannot be used."""

    left_out: Mapping[str, int]
    """As in `Reading`."""

    drawn: Mapping[str, str]
    """As in `Reading`."""

    notes: Sequence[str] = ()
    """As in `Checked`."""


@dataclass(frozen=True)
class Checked:
    """A data set that has passed every check."""

    reading: Reading
    ids: pa.Array
    """The id of each image."""
    names: list[str]
    """The display name of each label."""
    notes: Sequence[str] = ()
    """Lines on the settings that did not fit."""


def ingest(config: DataConfig, indices: str = "") -> Ingested:
    """Returns the data set with its manifest and its bad rows.

    indices: the folder for indexes of large files; "" for one in the cache folder.
    Raises UserError with every problem of the data set.
    """
    found = read_checked(config, indices)
    reading = found.reading
    manifest = to_manifest(reading.root, reading.images, ids=found.ids, names=found.names)
    errors = table(reading.errors, ERRORS)
    return Ingested(manifest, errors, reading.left_out, reading.drawn, found.notes)


def read_checked(config: DataConfig, indices: str = "") -> Checked:
    """Reads and checks a data set. indices: as in `ingest`. Raises UserError with every problem."""
    check_there(config)
    if config.layout in INDEXED_READERS:
        folder = indices or str(storage.cache_folder() / "indices")
        reading = INDEXED_READERS[config.layout](config, folder)
    else:
        reading = READERS[config.layout](config)
    problems: list[str] = []
    names = display_names(
        reading.root, reading.classes, class_names=config.class_names, problems=problems
    )
    if config.join_alike:
        images, classes, names = joined(reading.images, reading.classes, names)
        reading = replace(reading, images=images, classes=classes)
    ids = image_ids(reading.images)
    notes: list[str] = []
    if config.exclude:
        excluded = read_excluded(config.exclude)
        why, notes = counted(ids, excluded, config.exclude)
        stays = not_excluded(ids, excluded)
        # the splits are drawn before: those of the other images stay as the list found them
        images, ids = reading.images.filter(stays), ids.filter(stays)
        reading = replace(reading, images=images, left_out={**reading.left_out, **why})
    problems += name_problems(reading.root, names)
    problems += alike_problems(
        reading.root, reading.classes, names, places=first_places(reading.images)
    )
    problems += _check(reading, ids)
    if problems:
        raise UserError(problems)
    return Checked(reading, ids, names, notes)


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


def name_problems(root: str, names: list[str]) -> list[str]:
    """Returns problems for names with control characters."""
    return [
        f"{root}: the class {name!r} has control characters in its name. Rename it."
        for name in names
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    ]


def _check(reading: Reading, ids: pa.Array) -> list[str]:
    """Returns the problems that a data set of any layout can have."""
    if not len(reading.images):
        return [no_usable_image(reading.root, reading.errors)]
    problems = []
    images = reading.images
    fits = pc.and_(
        pc.or_(pc.is_in(images.column("split"), pa.array(SPLITS)), is_test(images.column("split"))),
        pc.or_(pc.is_valid(images.column("label")), pc.equal(images.column("split"), "unlabeled")),
    )
    for image in images.filter(pc.invert(fits)).to_pylist():
        place = image["where"] or image["path"]
        problems.append(f"{place}: split {image['split']!r} does not fit.")
    secret = pc.match_substring_regex(images.column("path"), CREDENTIALS)
    if where := images.filter(secret).column("where").to_pylist():
        problems.append(
            f"{reading.root}: the addresses of {len(where)} pictures hold credentials, which every "
            f"result would hold too (first: {where[0]}). Take them out; see docs/s3.md."
        )
    problems += _repeated(images, ids)
    problems += split_problems(reading.root, reading.classes, counts_of_splits([images]))
    if len(problems) > lines.MAX_LINES_REPORTED:
        every, problems = problems, []
        lines.report_broken(reading.root, every, problems)
    return problems


def no_usable_image(root: str, errors: list[dict[str, str]]) -> str:
    problem = f"{root}: has no usable image."
    if errors:
        problem += f" The first of {len(errors)} bad rows: {errors[0]['message']}"
    return problem


def split_problems(
    root: str, classes: list[ClassEntry], splits_by_label: dict[int, Counter[str]]
) -> list[str]:
    """Returns problems for classes that have no images, or images in val or test but not in
    train."""
    problems = []

    def shown(labels: list[int]) -> str:
        return listed([classes[label].keys[0] for label in labels])

    empty = [label for label in range(len(classes)) if label not in splits_by_label]
    if empty:
        problems.append(f"{root}: the classes {shown(empty)} have no images.")
    untrained = sorted(
        label
        for label, splits in splits_by_label.items()
        if not splits["train"] and splits.total() > splits["unlabeled"]
    )
    if untrained:
        problems.append(
            f"{root}: the classes {shown(untrained)} have images in val or test but none "
            "in train. Give them training images or leave them out."
        )
    return problems


def _repeated(images: pa.Table, ids: pa.Array) -> list[str]:
    """Returns a problem for each id that several images have."""
    if pc.count_distinct(ids).as_py() == len(ids):
        return []
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    rows = images.append_column("id", ids).filter(pc.is_in(ids, value_set=twice)).to_pylist()
    images_by_id: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        images_by_id[row["id"]].append(row)
    return [
        f"The image {image_id} ({same[0]['path']}) is there twice: "
        f"{listed([image['where'] or image['path'] for image in same], 3)}."
        for image_id, same in images_by_id.items()
    ]
