"""The problems that a data set of any layout can have."""

import unicodedata
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets import lines
from gist_ray.datasets.reading import ClassEntry, Reading
from gist_ray.datasets.splits import counts_of_splits
from gist_ray.errors import listed
from gist_ray.schema import SPLITS, is_test
from gist_ray.store.s3 import CREDENTIALS


def name_problems(root: str, names: list[str]) -> list[str]:
    """Returns problems for names with control characters."""
    return [
        f"{root}: the class {name!r} has control characters in its name. Rename it."
        for name in names
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    ]


def image_problems(reading: Reading, ids: pa.Array) -> list[str]:
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
