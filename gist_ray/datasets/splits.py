"""Seeded splits for data sets without their own (the rule is our choice).

The training images of a class are ordered by a hash of the seed and their path; the first go to
test, the next to val. So the splits depend neither on the order of the files nor on the other
classes.
"""

import math
from collections.abc import Callable, Collection, Mapping

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
    return images.set_column(
        images.schema.get_field_index("split"),
        images.schema.field("split"),
        pa.array(splits, pa.string()),
    )


def complete_splits(
    images: pa.Table, config: DataConfig, given: Collection[str] | None = None
) -> pa.Table:
    """Returns `images` with those of the splits test and val that are not given drawn from train.

    given: the splits of the data set, by default those of `images`.
    """
    if given is None:
        given = pc.unique(images.column("split")).to_pylist()
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    kinds = {split.split("/")[0] for split in given}  # test/night is also a test set
    counts = {split: share(value) for split, value in fractions.items() if split not in kinds}
    return carve(images, counts, config.seed) if counts else images


def share(fraction: float) -> Callable[[int], int]:
    """Returns a function from n to the number of images that is a fraction of n: rounded, and at
    least 1 unless the fraction is 0."""
    return lambda n: max(1, math.floor(n * fraction + 0.5)) if fraction else 0
