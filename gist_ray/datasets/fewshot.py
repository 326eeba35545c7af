"""Samples of the images for few-shot learning: CoOp's sampling rule, nested samples, or all."""

import random
from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.splits import counts_of_splits
from gist_ray.schema import SHOTS, stable_id, table

MAX_VAL_SHOTS = 4
"""Most images per class of a few-shot val set, as in CoOp."""


def sample_coop(manifest: pa.Table, shots: int, seed: int) -> pa.Table:
    """Returns CoOp's few-shot sample as a SHOTS table, with the same images in the same order as
    CoOp draws them.

    One generator draws `shots` train images per class, classes in the order in which they first
    appear in the split, and then min(shots, 4) val images. A class with fewer images gives all,
    without a draw. The manifest's rows have to be in the order of the data set's files.
    (KaiyangZhou/Dassl.pytorch, DatasetBase.generate_fewshot_dataset without repeat.)
    """
    generator = random.Random(seed)
    rows = []
    for split, num_samples in (("train", shots), ("val", min(shots, MAX_VAL_SHOTS))):
        for label, ids in _ids_by_label(manifest, split).items():
            drawn = generator.sample(ids, num_samples) if len(ids) >= num_samples else ids
            rows += [{"image_id": i, "label": label, "split": split} for i in drawn]
    return table(rows, SHOTS)


def sample_nested(manifest: pa.Table, shots: int, seed: int) -> pa.Table:
    """Returns a few-shot sample as a SHOTS table that is a subset of the sample with the same seed
    and more shots.

    Each class's images are ordered by a hash of the seed and their id, independent of the order of
    the manifest. The first `shots` of train are taken, and the first min(shots, 4) of val.
    """
    rows = []
    for split, num_samples in (("train", shots), ("val", min(shots, MAX_VAL_SHOTS))):
        for label, ids in sorted(_ids_by_label(manifest, split).items()):
            ordered = sorted(ids, key=lambda i: stable_id(seed, i))
            rows += [{"image_id": i, "label": label, "split": split} for i in ordered[:num_samples]]
    return table(rows, SHOTS)


def sample_full(manifest: pa.Table) -> pa.Table:
    """Returns all labelled train and val images as a SHOTS table."""
    rows = [
        {"image_id": image_id, "label": label, "split": split}
        for split in ("train", "val")
        for label, ids in _ids_by_label(manifest, split).items()
        for image_id in ids
    ]
    return table(rows, SHOTS)


def same_samples(manifest: pa.Table, shots: Sequence[int]) -> dict[int, int]:
    """Returns {number of shots: smaller one of `shots` that gives the same sample}: both take all
    images of every class."""
    if len(shots) < 2:
        return {}
    counts = counts_of_splits([manifest]).values()
    most = max(
        (max(of["train"], min(of["val"], MAX_VAL_SHOTS)) for of in counts),
        default=0,
    )
    first, *others = sorted(number for number in shots if number >= most) or [0]
    return dict.fromkeys(others, first)


def sampled_images(manifest: pa.Table, shots: pa.Table, split: str) -> pa.Table:
    """Returns the manifest's rows of the images that a SHOTS table has in a split, in the
    manifest's order."""
    chosen = pc.equal(shots.column("split"), split)
    ids = shots.filter(chosen).column("image_id").combine_chunks()
    return manifest.filter(pc.is_in(manifest.column("image_id"), value_set=ids))


def _ids_by_label(manifest: pa.Table, split: str) -> dict[int, list[str]]:
    """Returns {label: image ids in the manifest's order}, labels in the order in which they first
    appear."""
    columns = (manifest.column(name).to_pylist() for name in ("image_id", "label", "split"))
    found: dict[int, list[str]] = defaultdict(list)
    for image_id, label, row_split in zip(*columns, strict=True):
        if row_split == split:
            found[label].append(image_id)
    return found
