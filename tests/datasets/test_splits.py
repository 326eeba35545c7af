import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import LabelledImage, images_table
from gist_ray.datasets.splits import carve, carve_units, complete_splits, share, to_draw


def images_of(label: int, count: int) -> list[LabelledImage]:
    return [LabelledImage(f"{label}/{n}.jpg", label, "train") for n in range(count)]


def config(**values: object) -> DataConfig:
    return DataConfig(layout="image_folder", path="x", **values)


def completed(images: pa.Table, **values: object) -> pa.Table:
    drawn = to_draw(set(images.column("split").to_pylist()), config(**values))
    return complete_splits(images, drawn, config(**values).seed)


def drawn_from(images: list[LabelledImage], **values: object) -> list[tuple[str, int, str]]:
    """(path, label, split) of each image."""
    table = completed(images_table(images), **values)
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


def grouped(images: list[LabelledImage], groups: list[str | None]) -> pa.Table:
    table = images_table(images)
    at = table.schema.get_field_index("group")
    return table.set_column(at, table.schema.field(at), pa.array(groups, pa.string()))


def splits_of(images: pa.Table, seed: int = 0) -> list[str]:
    drawn = carve_units(images, {"test": share(0.2), "val": share(0.1)}, seed)
    assert drawn.select(["path", "label", "group"]) == images.select(["path", "label", "group"])
    found: list[str] = drawn.column("split").to_pylist()
    return found


def test_a_group_moves_as_a_whole_and_counts_are_of_images():
    images = grouped(images_of(0, 40), [f"g{n // 4}" for n in range(40)])
    for seed in range(5):
        splits = splits_of(images, seed)
        assert all(len(set(splits[n : n + 4])) == 1 for n in range(0, 40, 4))
        assert Counter(splits) == {"test": 8, "val": 4, "train": 28}
    assert splits_of(images, 0) != splits_of(images, 1)


def test_images_without_a_group_are_drawn_as_where_there_are_none():
    alone = images_table(images_of(0, 30))
    counts = {"test": share(0.2), "val": share(0.1)}
    mixed = grouped(
        images_of(0, 30) + images_of(1, 6), [None] * 30 + ["a", "a", "b", "b", "c", "c"]
    )
    assert splits_of(mixed)[:30] == carve(alone, counts, 0).column("split").to_pylist()
    assert splits_of(grouped(images_of(0, 30), [None] * 30)) == splits_of(mixed)[:30]


def test_a_group_of_several_classes_leaves_each_of_them_training_images():
    images = images_of(0, 12) + images_of(1, 12) + images_of(2, 2)
    # class 2 has but one group, and shares it
    groups = [*[f"g{n % 6}" for n in range(24)], "g0", "g0"]
    for seed in range(10):
        splits = splits_of(grouped(images, groups), seed)
        of_group: dict[str, set[str]] = {}
        for group, split in zip(groups, splits, strict=True):
            of_group.setdefault(group, set()).add(split)
        assert all(len(of_one) == 1 for of_one in of_group.values())
        assert of_group["g0"] == {"train"}
        for label in range(3):
            of_label = [s for image, s in zip(images, splits, strict=True) if image.label == label]
            assert "train" in of_label
        assert {"val", "test"} <= set(splits)


def test_groups_of_given_splits_stay_where_they_are():
    images = [*images_of(0, 10), LabelledImage("0/t.jpg", 0, "test/night")]
    table = completed(grouped(images, ["a"] * 5 + ["b"] * 5 + ["a"]))
    splits = table.column("split").to_pylist()
    assert splits[-1] == "test/night"
    assert Counter(splits) == {"train": 5, "val": 5, "test/night": 1}


def test_equal_pictures_stay_together_and_the_others_are_drawn_as_where_there_are_none():
    images = images_table(images_of(0, 40) + images_of(1, 10))
    drawn = to_draw({"train"}, config())
    equal_to = np.arange(50)
    assert complete_splits(images, drawn, 3, equal_to=equal_to) == complete_splits(images, drawn, 3)
    # the pictures 0 to 19 of class 0 are there twice, and two of both classes are equal
    equal_to[20:40] = np.arange(20)
    equal_to[41] = 5
    for seed in range(5):
        splits = complete_splits(images, drawn, seed, equal_to=equal_to).column("split").to_pylist()
        assert [splits[place] for place in equal_to] == splits
        assert Counter(splits[:40])["test"] in (8, 9)


def test_groups_that_share_a_picture_move_together():
    images = grouped(images_of(0, 40), [f"g{n // 4}" for n in range(40)])
    equal_to = np.arange(40)
    equal_to[4] = 0  # the groups g0 and g1 share a picture
    for seed in range(10):
        drawn = complete_splits(images, to_draw({"train"}, config()), seed, equal_to=equal_to)
        assert len(set(drawn.column("split").to_pylist()[:8])) == 1
