"""Groups (a patient, a burst, a site) whose images are in several splits."""

import pyarrow as pa
import pyarrow.compute as pc

GROUPS = pa.schema(
    [
        pa.field("group", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("num_images", pa.int64(), nullable=False),
    ]
)


def leaking_groups(manifest: pa.Table) -> pa.Table:
    """Returns GROUPS: the images of each split, of groups in more than one. Unlabeled images
    count as those of train: a model may learn from both."""
    rows = manifest.filter(pc.is_valid(manifest["group"]))
    counts = rows.group_by(["group", "split"]).aggregate([([], "count_all")])
    learned = pc.if_else(pc.equal(counts["split"], "unlabeled"), "train", counts["split"])
    sides = counts.append_column("side", learned).group_by("group")
    several = sides.aggregate([("side", "count_distinct")])
    names = several.filter(pc.greater(several["side_count_distinct"], 1))["group"]
    found = counts.filter(pc.is_in(counts["group"], value_set=names.combine_chunks()))
    return (
        found.rename_columns({"count_all": "num_images"})
        .cast(GROUPS)
        .sort_by([("group", "ascending"), ("split", "ascending")])
    )
