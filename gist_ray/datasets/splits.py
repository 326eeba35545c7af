"""Seeded splits for data sets that leave them open (the rule is our choice).

The training images of a class are ordered by a hash of the seed and their path; the first go to
test, the next to val. So the outcome depends neither on the order of the files nor on the other
classes.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import LabelledImage
from gist_ray.schema import stable_id


def carve(
    images: list[LabelledImage], counts: Mapping[str, Callable[[int], int]], seed: int
) -> list[LabelledImage]:
    """Move training images of each class to other splits; the order of `images` stays.

    counts: {split: how many of a class's n training images go there}. One image always stays in
    train.
    """
    by_label: dict[int | None, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        if image.split == "train":
            by_label[image.label].append(index)
    carved = list(images)
    for indices in by_label.values():
        num_images = len(indices)
        left = sorted(indices, key=lambda i: (stable_id(seed, images[i].path), images[i].path))
        for split, count in counts.items():
            number = min(count(num_images), len(left) - 1)
            for index in left[:number]:
                carved[index] = replace(images[index], split=split)
            left = left[number:]
    return carved


def complete_splits(images: list[LabelledImage], config: DataConfig) -> list[LabelledImage]:
    """Draws test and val, whichever of them has no image yet, out of train."""
    given = {image.split for image in images}
    fractions = {"test": config.test_fraction, "val": config.val_fraction}
    counts = {split: share(value) for split, value in fractions.items() if split not in given}
    return carve(images, counts, config.seed)


def share(fraction: float) -> Callable[[int], int]:
    """How many of n images a fraction is: rounded, and at least one unless the fraction is 0."""
    return lambda n: max(1, math.floor(n * fraction + 0.5)) if fraction else 0
