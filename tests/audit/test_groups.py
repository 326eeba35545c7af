from gist_ray.audit.groups import leaking_groups
from tests.audit.drawn import manifest


def test_a_group_over_train_and_test_is_told_with_its_images() -> None:
    images = manifest(
        [
            {"group": "p1", "split": "train"},
            {"group": "p1", "split": "test"},
            {"group": "p1", "split": "test"},
            {"group": "p2", "split": "val"},
            {"group": "p2", "split": "val"},
            {"group": "p3", "split": "train"},
            {"group": "p3", "split": "unlabeled"},
            {"split": "train"},
            {"split": "test"},
        ]
    )
    assert leaking_groups(images).to_pylist() == [
        {"group": "p1", "split": "test", "num_images": 2},
        {"group": "p1", "split": "train", "num_images": 1},
    ]
