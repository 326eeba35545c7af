"""The labelled images by how likely their label is wrong, by all witnesses together."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.audit.witnesses.witness import together

LABELS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        # 0 is the most suspicious
        pa.field("rank", pa.int32(), nullable=False),
        # mean of the witnesses' ranks, 0 to 1
        pa.field("suspicion", pa.float64(), nullable=False),
        pa.field("suspect", pa.bool_(), nullable=False),
        # the first witness's that is not the label; null if none suggests another
        pa.field("suggested_name", pa.string()),
        pa.field(
            "witnesses",
            pa.list_(
                pa.struct(
                    [("witness", pa.string()), ("score", pa.float32()), ("suggested", pa.string())]
                )
            ),
            nullable=False,
        ),
    ]
)


def ranked_labels(
    manifest: pa.Table, testimonies: Mapping[str, pa.Table], *, num_issues: int
) -> pa.Table:
    """Returns LABELS of the images of which a witness speaks, the most suspicious first.

    testimonies: {witness: TESTIMONY}. Suspects are the first `num_issues` images for which a
    witness suggests another label.
    """
    images = manifest.filter(pc.is_valid(manifest["label"]))
    suspicion = together(testimonies, images["image_id"])
    spoken = ~np.isnan(suspicion)
    images, suspicion = images.filter(pa.array(spoken)), suspicion[spoken]
    order = np.argsort(-suspicion, kind="stable")
    images, suspicion = images.take(pa.array(order)), suspicion[order]
    labels = images["label"].to_numpy()
    said = [_said(images, table) for table in testimonies.values()]
    scores, found = (np.stack(columns, axis=1) for columns in zip(*said, strict=True))
    is_other = (found >= 0) & (found != labels[:, None])
    has_other = is_other.any(axis=1)
    first = found[np.arange(len(found)), is_other.argmax(axis=1)]
    names = _names(images, num_labels=int(max(labels.max(), found.max())) + 1)
    suspect = has_other & (np.cumsum(has_other) <= num_issues)
    columns = {
        **{name: images[name] for name in ("image_id", "uri", "split", "label", "class_name")},
        "rank": pa.array(np.arange(len(images)), pa.int32()),
        "suspicion": suspicion,
        "suspect": suspect,
        "suggested_name": names.take(pa.array(first, mask=~has_other)),
        "witnesses": _witnesses(list(testimonies), scores, found, names=names),
    }
    return pa.table(columns, schema=LABELS)


def _names(images: pa.Table, num_labels: int) -> pa.Array:
    """Returns the class name of each label; null for a label of no image."""
    classes = images.select(["label", "class_name"]).group_by("label", use_threads=False)
    found = classes.aggregate([("class_name", "first")])
    places = pc.index_in(pa.array(range(num_labels), pa.int32()), found["label"].combine_chunks())
    return found["class_name_first"].combine_chunks().take(places)


def _witnesses(
    witnesses: Sequence[str], scores: np.ndarray, found: np.ndarray, *, names: pa.Array
) -> pa.Array:
    """Returns the column `witnesses` from (num_images, num_witnesses) arrays."""
    speaks = found >= 0
    whose = np.broadcast_to(np.arange(len(witnesses)), found.shape)[speaks]
    columns = [
        pa.array(witnesses, pa.string()).take(pa.array(whose)),
        pa.array(scores[speaks]),
        names.take(pa.array(found[speaks])),
    ]
    fields = list(LABELS.field("witnesses").type.value_type)
    offsets = np.concatenate([[0], speaks.sum(axis=1).cumsum()])
    rows = pa.StructArray.from_arrays(columns, fields=fields)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), rows)


def _said(images: pa.Table, testimony: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns a witness's scores and suggested labels of the images; -1 where it says nothing."""
    places = pc.index_in(images["image_id"], value_set=testimony["image_id"].combine_chunks())
    known = np.asarray(pc.is_valid(places))
    rows = testimony.take(places.drop_null())
    scores, suggested = np.zeros(len(images), np.float32), np.full(len(images), -1)
    scores[known], suggested[known] = rows["score"].to_numpy(), rows["suggested"].to_numpy()
    return scores, suggested
