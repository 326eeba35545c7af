from gist_ray.datasets.cut_groups import cut_groups
from gist_ray.datasets.reading import IMAGES, Reading
from gist_ray.schema import table


def reading(*images: tuple[str | None, str]) -> Reading:
    rows = [
        {
            "path": f"{number}.jpg",
            "label": 0,
            "split": split,
            "group": group,
            "attributes": "{}",
            "where": "",
            "image_id": "",
        }
        for number, (group, split) in enumerate(images)
    ]
    return Reading("/data", [], table(rows, IMAGES))


def test_groups_on_both_sides_are_counted_and_the_first_three_named() -> None:
    cut = [(f"p{n}", split) for n in range(5) for split in ("train", "train", "val")]
    (problem,) = cut_groups(reading(*cut, ("q", "test"), (None, "train")), "patient")
    assert "cut 5 of the 6 groups of group_column=patient, with 15 images: " in problem
    assert (
        "'p0' (2 train, 1 val), 'p1' (2 train, 1 val), 'p2' (2 train, 1 val) and 2 more" in problem
    )


def test_whole_groups_several_test_sets_and_unlabeled_images_are_fine() -> None:
    fine = [("a", "train"), ("a", "unlabeled"), ("b", "test"), ("b", "test/night"), (None, "val")]
    assert cut_groups(reading(*fine), "patient") == []
