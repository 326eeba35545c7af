"""The labelled images by how likely their label is wrong, by all witnesses together."""

from collections.abc import Mapping

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
    names = dict(zip(labels.tolist(), images["class_name"].to_pylist(), strict=True))
    said = [_said(images, table) for table in testimonies.values()]
    witnesses, suggested = [], []
    for place, label in enumerate(labels.tolist()):
        rows = [
            {"witness": name, "score": scores[place], "suggested": names.get(int(found[place]))}
            for name, (scores, found) in zip(testimonies, said, strict=True)
            if found[place] >= 0
        ]
        others = [row["suggested"] for row in rows if row["suggested"] != names[label]]
        witnesses.append(rows)
        suggested.append(others[0] if others else None)
    has_other = np.array([name is not None for name in suggested], bool)
    suspect = has_other & (np.cumsum(has_other) <= num_issues)
    columns = {
        **{name: images[name] for name in ("image_id", "uri", "split", "label", "class_name")},
        "rank": pa.array(np.arange(len(images)), pa.int32()),
        "suspicion": suspicion,
        "suspect": suspect,
        "suggested_name": pa.array(suggested, pa.string()),
        "witnesses": pa.array(witnesses, LABELS.field("witnesses").type),
    }
    return pa.table(columns, schema=LABELS)


def _said(images: pa.Table, testimony: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns a witness's scores and suggested labels of the images; -1 where it says nothing."""
    places = pc.index_in(images["image_id"], value_set=testimony["image_id"].combine_chunks())
    known = np.asarray(pc.is_valid(places))
    rows = testimony.take(places.drop_null())
    scores, suggested = np.zeros(len(images), np.float32), np.full(len(images), -1)
    scores[known], suggested[known] = rows["score"].to_numpy(), rows["suggested"].to_numpy()
    return scores, suggested
