"""The reader of packed data sets: the rows of the source, with the pictures in shards."""

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import IMAGES, ClassEntry, Reading
from gist_ray.errors import UserError
from gist_ray.schema import MANIFEST
from gist_ray.store import storage


def read_packed(config: DataConfig) -> Reading:
    """Returns the rows of `<path>/manifest.parquet` in their order, with the ids, labels and splits
    that they were packed with.

    Raises UserError if the folder is not a finished pack.
    """
    root = storage.absolute(config.path)
    uri = storage.join(root, "manifest.parquet")
    if not storage.exists(storage.join(root, "artifact.json")):
        raise UserError(
            f"{root}: is not a packed set, or its packing has not ended. Run `gist-ray pack "
            f"out={config.path}` until it says that it is done."
        )
    try:
        rows = storage.read_parquet(uri)
        if "group" not in rows.column_names:  # packed before a manifest had groups
            rows = rows.append_column(MANIFEST.field("group"), pa.nulls(len(rows), pa.string()))
        rows = rows.select(MANIFEST.names)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"{uri}: cannot be read ({error}). Pack again.") from error
    nothing = pa.repeat("", len(rows))
    images = pa.table(
        [
            rows.column("uri"),
            rows.column("label"),
            rows.column("split"),
            rows.column("group"),
            rows.column("attributes"),
            nothing,
            rows.column("image_id"),
        ],
        schema=IMAGES,
    )
    labelled = rows.select(["label", "class_name"]).filter(pc.is_valid(rows.column("label")))
    pairs = labelled.group_by(["label", "class_name"]).aggregate([]).sort_by("label")
    classes = [
        ClassEntry((row["class_name"], str(row["label"])), row["class_name"])
        for row in pairs.to_pylist()
    ]
    return Reading(root, classes, images)
