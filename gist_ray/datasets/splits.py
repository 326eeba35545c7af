"""Seeded splits for data sets without their own (the rule is our choice).

The training images of a class are ordered by a hash of the seed and their path; the first go to
test, the next to val. So the splits depend neither on the order of the files nor on the other
classes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gist_ray.datasets.config import DataConfig
from gist_ray.schema import stable_ids


def carve(images: pa.Table, counts: Mapping[str, Callable[[int], int]], seed: int) -> pa.Table:
    """Returns an IMAGES table, in its order, with training images of each class moved to other
    splits.

    counts: {split: function from the number of a class's training images to the number that is
    moved}. One image always stays in train.
    """
    is_train = pc.equal(images.column("split"), "train")
    places = np.flatnonzero(is_train.to_numpy())
    train = images.filter(is_train)
    labels = pc.fill_null(train.column("label"), -1).to_numpy()
    draws = [int(key, 16) for key in stable_ids(train.column("path").to_pylist(), seed)]
    order = np.lexsort((np.array(draws, np.uint64), labels))
    starts = np.flatnonzero(np.diff(labels[order], prepend=-2))
    splits = np.array(images.column("split").to_pylist(), object)
    for members in np.split(places[order], starts[1:]):
        left = members
        for split, count in counts.items():
            number = max(0, min(count(len(members)), len(left) - 1))
            splits[left[:number]] = split
            left = left[number:]
    return _with_splits(images, splits.tolist())


def carve_units(
    images: pa.Table,
    counts: Mapping[str, Callable[[int], int]],
    seed: int,
    *,
    equal_to: np.ndarray | None = None,
) -> pa.Table:
    """As `carve`, but the training images of a unit move together, those of other classes too. A
    unit holds the images of one group and the images with equal files; other images move alone.

    A split gets more images of a class than its count where the last unit is larger than what it
    lacks. A unit stays in train if a class has no other one there.

    equal_to: (num_images,) int64, the place of the first image with the same file
    (`EqualPictures.first`).
    """
    labels = pc.fill_null(images.column("label"), -1).to_pylist()
    splits = images.column("split").to_pylist()
    units = _units(images, seed, equal_to)
    of_label: dict[int, list[str]] = defaultdict(list)
    for unit, places in units.items():
        for label in {labels[place] for place in places}:
            of_label[label].append(unit)
    num_left = {label: len(members) for label, members in of_label.items()}
    moved: Counter[tuple[int, str]] = Counter()
    for label, members in sorted(of_label.items()):
        num_images = sum(labels[place] == label for unit in members for place in units[unit])
        for split, count in counts.items():
            for unit in members:
                places = units[unit]
                classes = {labels[place] for place in places}
                if moved[label, split] >= count(num_images):
                    break
                if splits[places[0]] != "train" or any(num_left[one] == 1 for one in classes):
                    continue
                for one in classes:
                    num_left[one] -= 1
                for place in places:
                    splits[place] = split
                    moved[labels[place], split] += 1
    return _with_splits(images, splits)


def _units(images: pa.Table, seed: int, equal_to: np.ndarray | None) -> dict[str, list[int]]:
    """Returns {name of a unit: places of its training images}, in the order drawn by the seed. A
    unit is named by the group, or the path, of its first image."""
    groups = images.column("group")
    paths = images.column("path")
    own = pc.coalesce(pc.binary_join_element_wise("group", groups, " "), paths).to_pylist()
    codes, names = pd.factorize(np.array(own, object))
    first = np.arange(len(images)) if equal_to is None else equal_to
    links = coo_array((np.ones(len(images)), (codes, codes[first])), (len(names), len(names)))
    _, unit_of = connected_components(links, directed=False)
    found: dict[int, list[int]] = defaultdict(list)
    for place in np.flatnonzero(pc.equal(images.column("split"), "train").to_numpy()).tolist():
        found[unit_of[codes[place]]].append(place)
    named = {own[places[0]]: places for places in found.values()}
    draws = dict(zip(named, stable_ids(named, seed), strict=True))
    return {unit: named[unit] for unit in sorted(named, key=draws.__getitem__)}


def _with_splits(images: pa.Table, splits: Sequence[str]) -> pa.Table:
    at = images.schema.get_field_index("split")
    return images.set_column(at, images.schema.field(at), pa.array(splits, pa.string()))


@dataclass(frozen=True)
class Drawn:
    """A split that a data set does not have itself."""

    count: Callable[[int], int]
    """Returns from the number of a class's training images the number that becomes this split."""

    how: str
    """How it comes about, for people."""


def to_draw(given: Collection[str], config: DataConfig) -> dict[str, Drawn]:
    """Returns the splits test and val unless they are `given`, the splits that the data set has."""
    kinds = {split.split("/")[0] for split in given}  # test/night is also a test set
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    return {
        split: Drawn(
            share(fraction),
            f"drawn from train by seed {config.seed}"
            if fraction
            else f"none, for {split}_fraction=0",
        )
        for split, fraction in fractions.items()
        if split not in kinds
    }


def complete_splits(
    images: pa.Table,
    drawn: Mapping[str, Drawn],
    seed: int,
    *,
    equal_to: np.ndarray | None = None,
) -> pa.Table:
    """Returns `images` with further splits drawn from train. The images of a group and those with
    equal files stay together. equal_to: as in `carve_units`; None compares no files."""
    if not drawn:
        return images
    counts = {split: one.count for split, one in drawn.items()}
    has_equal = equal_to is not None and (equal_to != np.arange(len(images))).any()
    if has_equal or has_groups(images):
        return carve_units(images, counts, seed, equal_to=equal_to)
    return carve(images, counts, seed)


def has_groups(images: pa.Table) -> bool:
    return images.column("group").null_count < len(images)


def share(fraction: float) -> Callable[[int], int]:
    """Returns a function from n to the number of images that is a fraction of n: rounded, and at
    least 1 unless the fraction is 0."""
    return lambda n: max(1, math.floor(n * fraction + 0.5)) if fraction else 0


def counts_of_splits(tables: Iterable[pa.Table]) -> dict[int, Counter[str]]:
    """Returns {label: {split: number of images}} of tables with these columns. Rows without a label
    are left out."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for images in tables:
        labelled = images.select(["label", "split"]).drop_null()
        counts = labelled.group_by(["label", "split"]).aggregate([([], "count_all")])
        for row in counts.to_pylist():
            found[row["label"]][row["split"]] += row["count_all"]
    return found
