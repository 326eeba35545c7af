"""Copies: pairs of pictures with equal bytes, and neighbours that compare as copies pixel by
pixel."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gist_ray.datasets.copies import rank_of

DUPLICATES = pa.schema(
    [
        # copies of one picture, directly or over others, share a number; 0 is the first
        pa.field("cluster", pa.int32(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("other_id", pa.string(), nullable=False),
        # exact (equal bytes), same, mirrored or crop
        pa.field("kind", pa.string(), nullable=False),
        # of the grey values; 1 for equal bytes
        pa.field("correlation", pa.float32(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("other_split", pa.string(), nullable=False),
        pa.field("class_name", pa.string()),
        pa.field("other_class_name", pa.string()),
    ]
)


def equal_pairs(looks: pa.Table) -> list[tuple[str, str]]:
    """Returns (image_id, other_id) of pictures with equal bytes: each with the next of its
    group."""
    counts = looks["content"].value_counts()
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    rows = looks.filter(pc.is_in(looks["content"], value_set=twice)).sort_by(
        [("content", "ascending"), ("image_id", "ascending")]
    )
    cells = zip(rows["content"].to_pylist(), rows["image_id"].to_pylist(), strict=True)
    return [(a[1], b[1]) for a, b in pairwise(cells) if a[0] == b[0]]


def duplicates(
    manifest: pa.Table, looks: pa.Table, compared: pa.Table, *, min_correlation: float
) -> pa.Table:
    """Returns DUPLICATES, cluster by cluster; clusters over several splits come first, then those
    over several classes.

    looks: LOOKS, whose equal contents are exact copies. compared: COMPARED.
    """
    rows = [(one, other, "exact", 1.0) for one, other in equal_pairs(looks)]
    near = compared.filter(pc.greater_equal(compared["correlation"], min_correlation))
    ids = pa.concat_arrays([near[c].combine_chunks() for c in ("image_id", "other_id")])
    of_pairs = looks.filter(pc.is_in(looks["image_id"], value_set=ids))
    keys = (of_pairs[column].to_pylist() for column in ("image_id", "content"))
    content = dict(zip(*keys, strict=True))
    for row in near.to_pylist():
        one, other = row["image_id"], row["other_id"]
        if one not in content or content[one] != content.get(other):
            rows.append((one, other, row["kind"], row["correlation"]))
    facts = _facts(manifest, {image_id for row in rows for image_id in row[:2]})
    rows = [row for row in rows if row[0] in facts and row[1] in facts]
    columns = ["image_id", "other_id", "kind", "correlation"]
    found = pa.table({name: [row[i] for row in rows] for i, name in enumerate(columns)})
    clusters = _clusters([row[0] for row in rows], [row[1] for row in rows])
    splits: dict[int, set[str]] = {}
    classes: dict[int, set[str | None]] = {}
    for cluster, row in zip(clusters, rows, strict=True):
        splits.setdefault(cluster, set()).update(facts[one][0] for one in row[:2])
        classes.setdefault(cluster, set()).update(facts[one][1] for one in row[:2])
    order = sorted(splits, key=lambda c: (len(splits[c]) == 1, len(classes[c]) == 1, c))
    number = {cluster: place for place, cluster in enumerate(order)}
    for name, at, column in (
        ("split", 0, "image_id"),
        ("class_name", 1, "image_id"),
        ("other_split", 0, "other_id"),
        ("other_class_name", 1, "other_id"),
    ):
        cells = [facts[one][at] for one in found[column].to_pylist()]
        found = found.append_column(name, pa.array(cells, pa.string()))
    found = found.append_column("cluster", pa.array([number[c] for c in clusters], pa.int32()))
    cast = found.select(DUPLICATES.names).cast(DUPLICATES)
    return cast.sort_by([("cluster", "ascending"), ("image_id", "ascending")])


def members_of(found: pa.Table) -> dict[int, dict[str, str]]:
    """Returns {cluster: {image_id: split}} of DUPLICATES."""
    members: dict[int, dict[str, str]] = {}
    for row in found.to_pylist():
        cluster = members.setdefault(row["cluster"], {})
        cluster[row["image_id"]] = row["split"]
        cluster[row["other_id"]] = row["other_split"]
    return members


def copies_of_other_splits(found: pa.Table) -> dict[str, str]:
    """Returns {image_id: the image it is a copy of} of the images that have to go so that no
    picture of DUPLICATES is in two splits; see `copies.KEPT_FIRST`. Copies in one split stay."""
    leave: dict[str, str] = {}
    for members in members_of(found).values():
        kept = min(members, key=lambda one: (rank_of(members[one]), members[one], one))
        leave |= {one: kept for one, split in members.items() if split != members[kept]}
    return leave


def _facts(manifest: pa.Table, image_ids: set[str]) -> dict[str, tuple[str, str | None]]:
    """Returns {image_id: (split, class name)}."""
    wanted = pc.is_in(manifest["image_id"], value_set=pa.array(sorted(image_ids), pa.string()))
    rows = manifest.filter(wanted).to_pylist()
    return {row["image_id"]: (row["split"], row["class_name"]) for row in rows}


def _clusters(one: list[str], other: list[str]) -> list[int]:
    """Returns for each pair the number of the connected component that it is in."""
    ids = {image_id: place for place, image_id in enumerate(dict.fromkeys([*one, *other]))}
    a, b = [ids[image_id] for image_id in one], [ids[image_id] for image_id in other]
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(len(ids), len(ids)))
    if not ids:
        return []
    _, component = connected_components(graph, directed=False)
    return [int(component[place]) for place in a]
