"""Draws the pictures of a butterfly world or corpus as files."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from gist_ray.demo.butterflies.pictures import draw_row
from gist_ray.run.placement import Place, Spread, place
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.step import Step
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter

DRAWN = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
    ]
)
ROWS_PER_PART = 500


def draw_pictures(rows: pa.Table, writer: ArtifactWriter, progress: Progress) -> None:
    """Draws every row (PICTURE_ROWS or CORPUS_ROWS) to its `path` below the artifact's folder."""
    run_rows(
        rows,
        id_column="image_id",
        steps=[Step(make=_drawer, args=(writer.uri,), batch_format="pyarrow")],
        schema=DRAWN,
        writer=writer,
        rows_per_part=ROWS_PER_PART,
        unit="pictures",
        progress=progress,
    )


def where_drawn(num_pictures: int) -> Place:
    """Returns the place where so many pictures are drawn."""
    return place(Spread(rows_per_part=ROWS_PER_PART), num_pictures)


def _drawer(folder: str) -> Callable[[pa.Table], dict[str, Any]]:
    def draw_batch(batch: pa.Table) -> dict[str, Any]:
        uris = []
        for row in batch.to_pylist():
            uris.append(storage.join(folder, row["path"]))
            storage.write_bytes(uris[-1], draw_row(row))
        none = [""] * len(uris)
        ids = batch.column("image_id").to_pylist()
        return {"image_id": ids, "uri": uris, "error_kind": none, "error_message": none}

    return draw_batch
