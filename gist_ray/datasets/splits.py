"""Seeded splits for data sets without their own (the rule is our choice).

The training images of a class are ordered by a hash of the seed and their path; the first go to
test, the next to val. So the splits depend neither on the order of the files nor on the other
classes.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


def carve_groups(
    images: pa.Table, counts: Mapping[str, Callable[[int], int]], seed: int
) -> pa.Table:
    """As `carve`, but the training images of a group move together, those of other classes too; an
    image without a group moves alone.

    A split gets more images of a class than its count where the last group is larger than what it
    lacks. A group stays in train if a class has no other one there.
    """
    labels = pc.fill_null(images.column("label"), -1).to_pylist()
    splits = images.column("split").to_pylist()
    units = _units(images, seed)
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


def _units(images: pa.Table, seed: int) -> dict[str, list[int]]:
    """{group, or path of an image without one: places of its training images}, in the order drawn
    by the seed."""
    columns = (images.column(name).to_pylist() for name in ("path", "group", "split"))
    found: dict[str, list[int]] = defaultdict(list)
    for place, (path, group, split) in enumerate(zip(*columns, strict=True)):
        if split == "train":
            found[path if group is None else f"group {group}"].append(place)
    draws = dict(zip(found, stable_ids(found, seed), strict=True))
    return {unit: found[unit] for unit in sorted(found, key=draws.__getitem__)}


def _with_splits(images: pa.Table, splits: Sequence[str]) -> pa.Table:
    at = images.schema.get_field_index("split")
    return images.set_column(at, images.schema.field(at), pa.array(splits, pa.string()))


def complete_splits(
    images: pa.Table, config: DataConfig, given: Collection[str] | None = None
) -> pa.Table:
    """Returns `images` with those of the splits test and val that are not given drawn from train.

    given: the splits of the data set, by default those of `images`.
    """
    counts = {split: share(value) for split, value in _to_draw(images, config, given).items()}
    if not counts:
        return images
    return (carve_groups if has_groups(images) else carve)(images, counts, config.seed)


def drawn_splits(
    images: pa.Table, config: DataConfig, given: Collection[str] | None = None
) -> dict[str, str]:
    """Returns {split: how `complete_splits` draws it}."""
    whole = ", groups kept together" if has_groups(images) else ""
    return {
        split: f"drawn from train by seed {config.seed}{whole}"
        if fraction
        else f"none, for {split}_fraction=0"
        for split, fraction in _to_draw(images, config, given).items()
    }


def has_groups(images: pa.Table) -> bool:
    return images.column("group").null_count < len(images)


def _to_draw(
    images: pa.Table, config: DataConfig, given: Collection[str] | None
) -> dict[str, float]:
    """Returns {split: its share of train} of the splits that the data set does not have."""
    if given is None:
        given = pc.unique(images.column("split")).to_pylist()
    kinds = {split.split("/")[0] for split in given}  # test/night is also a test set
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    return {split: value for split, value in fractions.items() if split not in kinds}


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
