import random
from collections import Counter, defaultdict

import pyarrow as pa
import pytest

from gist_ray.datasets.fewshot import sample_coop, sample_full, sample_nested
from gist_ray.schema import MANIFEST, SHOTS, table


def manifest_of(items: list[tuple[str, int, str]]) -> pa.Table:
    return table(
        (
            {
                "image_id": image_id,
                "uri": image_id,
                "label": label,
                "class_name": str(label),
                "split": split,
                "attributes": "{}",
            }
            for image_id, label, split in items
        ),
        MANIFEST,
    )


def mixed_items() -> list[tuple[str, int, str]]:
    """Labels interleaved and not in order, one class with two images, and rows of other splits."""
    items = [(f"t{n}", (7 * n + 3) % 5, "train") for n in range(60)]
    items += [("rare0", 5, "train"), ("rare1", 5, "train")]
    items += [(f"v{n}", (3 * n + 1) % 5, "val") for n in range(30)]
    items += [("x", 0, "test"), ("u", None, "unlabeled")]
    return items


def dassl(items: list[tuple[str, int, str]], shots: int, seed: int) -> list[str]:
    """What CoOp does, with the global generator as it has it."""
    random.seed(seed)
    drawn = []
    for split, num_shots in (("train", shots), ("val", min(shots, 4))):
        tracker = defaultdict(list)
        for image_id, label, item_split in items:
            if item_split == split:
                tracker[label].append(image_id)
        for ids in tracker.values():
            drawn += random.sample(ids, num_shots) if len(ids) >= num_shots else ids
    return drawn


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shots", [1, 2, 4, 8, 16])
def test_coop_rule_in_content_and_order(shots, seed):
    items = mixed_items()
    sample = sample_coop(manifest_of(items), shots, seed)
    assert sample.schema == SHOTS
    assert sample.column("image_id").to_pylist() == dassl(items, shots, seed)
    assert set(sample.column("split").to_pylist()) == {"train", "val"}


def test_coop_draw_is_the_known_one():
    """Positions that Python's generator must go on drawing, checked against CoOp's own lists."""
    items = [(str(n), n // 100, "train") for n in range(300)]
    items += [(f"v{n}", n // 100, "val") for n in range(300)]
    sample = sample_coop(manifest_of(items), 2, 1)
    assert sample.column("image_id").to_pylist() == KNOWN_DRAW


KNOWN_DRAW = ["17", "72", "197", "108", "232", "215", "v63", "v97", "v157", "v160", "v283", "v248"]


def test_coop_val_has_at_most_four_per_class_and_short_classes_give_all():
    sample = sample_coop(manifest_of(mixed_items()), 16, 1).to_pylist()
    counts = Counter((row["split"], row["label"]) for row in sample)
    assert counts["train", 5] == 2
    assert counts["train", 0] == 12
    assert {n for (split, _), n in counts.items() if split == "val"} == {4}


def test_nested_samples_lie_in_each_other():
    manifest = manifest_of(mixed_items())
    samples = {
        shots: set(sample_nested(manifest, shots, seed=1).column("image_id").to_pylist())
        for shots in (1, 3, 5, 16)
    }
    assert samples[1] < samples[3] < samples[5] < samples[16]
    counts = Counter(
        (row["split"], row["label"]) for row in sample_nested(manifest, 5, seed=1).to_pylist()
    )
    assert counts == {
        **{("train", label): 5 for label in range(5)},
        ("train", 5): 2,
        **{("val", label): 4 for label in range(5)},
    }


def test_nested_sample_depends_on_the_seed_and_not_on_the_order():
    items = mixed_items()
    sample = sample_nested(manifest_of(items), 3, seed=1)
    assert sample == sample_nested(manifest_of(items[::-1]), 3, seed=1)
    assert sample != sample_nested(manifest_of(items), 3, seed=2)


def test_full_is_all_of_train_and_val():
    sample = sample_full(manifest_of(mixed_items()))
    assert Counter(sample.column("split").to_pylist()) == {"train": 62, "val": 30}
