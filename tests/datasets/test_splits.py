import random
from collections import Counter

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import LabelledImage, images_table
from gist_ray.datasets.splits import carve, complete_splits, share


def images_of(label: int, count: int) -> list[LabelledImage]:
    return [LabelledImage(f"{label}/{n}.jpg", label, "train") for n in range(count)]


def config(**values: object) -> DataConfig:
    return DataConfig(layout="image_folder", path="x", **values)


def drawn_from(images: list[LabelledImage], **values: object) -> list[tuple[str, int, str]]:
    """(path, label, split) of each image."""
    table = complete_splits(images_table(images), config(**values))
    return [(row["path"], row["label"], row["split"]) for row in table.to_pylist()]


def split_of(drawn: list[tuple[str, int, str]]) -> dict[str, str]:
    return {path: split for path, _, split in drawn}


def test_shares_are_per_class_and_the_order_stays():
    images = images_of(0, 20) + images_of(1, 10)
    drawn = drawn_from(images)
    assert [path for path, _, _ in drawn] == [image.path for image in images]
    assert Counter((label, split) for _, label, split in drawn) == {
        (0, "train"): 14,
        (0, "val"): 2,
        (0, "test"): 4,
        (1, "train"): 7,
        (1, "val"): 1,
        (1, "test"): 2,
    }


def test_draw_depends_on_the_seed_but_on_neither_file_order_nor_other_classes():
    images = images_of(0, 50)
    drawn = split_of(drawn_from(images, seed=1))
    shuffled = images + images_of(1, 5)
    random.Random(0).shuffle(shuffled)
    again = split_of(drawn_from(shuffled, seed=1))
    assert drawn.items() <= again.items()
    assert split_of(drawn_from(images, seed=2)) != drawn


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"train": 1}), (2, {"train": 1, "test": 1}), (3, {"train": 1, "val": 1, "test": 1})],
)
def test_small_classes_keep_a_training_image(count, expected):
    drawn = drawn_from(images_of(0, count))
    assert Counter(split for _, _, split in drawn) == expected


def test_only_absent_splits_are_drawn_and_only_from_train():
    images = [*images_of(0, 10), LabelledImage("0/t.jpg", 0, "test")]
    drawn = drawn_from(images)
    assert Counter(split for _, _, split in drawn) == {"train": 9, "val": 1, "test": 1}
    assert split_of(drawn)["0/t.jpg"] == "test"


def test_fraction_zero_draws_nothing():
    drawn = drawn_from(images_of(0, 10), val_fraction=0, test_fraction=0)
    assert {split for _, _, split in drawn} == {"train"}
    assert share(0)(100) == 0


def test_fixed_count_never_empties_train():
    images = images_table(images_of(0, 3) + images_of(1, 8))
    drawn = carve(images, {"val": lambda _: 3}, seed=0).to_pylist()
    assert Counter((image["label"], image["split"]) for image in drawn) == {
        (0, "train"): 1,
        (0, "val"): 2,
        (1, "train"): 5,
        (1, "val"): 3,
    }
