"""A butterfly world as a data set: pictures, manifest.parquet and notes.json."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from gist_ray.demo.butterflies.attributes import BACKGROUNDS, random_pose
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.notes import field_notes
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.demo.butterflies.seeding import derived_seed, stream
from gist_ray.demo.butterflies.species import FORM_SHARES, Species, make_species
from gist_ray.schema import MANIFEST, stable_id, table
from gist_ray.store.storage import absolute, join, write_json, write_parquet

PICTURE_ROWS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # relative to the folder that the collection is written to
        pa.field("path", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        # the drawn attributes, with background and pose, as a JSON object
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("draw_seed", pa.int64(), nullable=False),
        pa.field("image_px", pa.int32(), nullable=False),
    ]
)


def write_collection(config: WorldConfig, folder_uri: str) -> pa.Table:
    """Draws a small world in this process and writes its files. Returns the manifest, which is
    written last."""
    species = make_species(config)
    rows = picture_rows(config, species)
    write_pictures(rows, folder_uri)
    write_json(join(folder_uri, "notes.json"), field_notes(species))
    manifest = manifest_rows(rows, folder_uri)
    write_parquet(join(folder_uri, "manifest.parquet"), manifest)
    return manifest


def picture_rows(config: WorldConfig, species: Iterable[Species] | None = None) -> pa.Table:
    """Returns the pictures of `species` (default: all of the world) as PICTURE_ROWS."""
    chosen = make_species(config) if species is None else species
    parts = [table(_rows_of_species(config, one), PICTURE_ROWS) for one in chosen]
    return pa.concat_tables(parts) if parts else PICTURE_ROWS.empty_table()


def manifest_rows(rows: pa.Table, folder_uri: str) -> pa.Table:
    """Returns the MANIFEST of pictures that were written below `folder_uri`."""
    folder = absolute(folder_uri)
    return table((_manifest_row(row, folder) for row in rows.to_pylist()), MANIFEST)


def _rows_of_species(config: WorldConfig, species: Species) -> Iterator[dict[str, Any]]:
    num_pictures = {
        "train": config.train_per_species,
        "val": config.val_per_species,
        "test": config.test_per_species,
    }
    for split, count in num_pictures.items():
        for index in range(count):
            yield _picture_row(config, species, split=split, index=index)


def _picture_row(
    config: WorldConfig, species: Species, *, split: str, index: int
) -> dict[str, Any]:
    # without the label, so that a picture does not change when a world gets more species
    purpose = (
        "butterflies picture",
        config.seed,
        species.genus_index,
        species.index,
        split,
        index,
    )
    rng = stream(*purpose)
    form = rng.choices(list(FORM_SHARES), list(FORM_SHARES.values()))[0]
    attributes = replace(
        species.forms[form], background=rng.choice(BACKGROUNDS), pose=random_pose(rng)
    )
    image_id = stable_id(*purpose)
    return {
        "image_id": image_id,
        "path": f"images/{split}/{folder_name(species)}/{image_id}.png",
        "label": species.label,
        "class_name": species.name,
        "split": split,
        "form": form,
        "attributes": attributes.to_json(),
        "draw_seed": derived_seed(*purpose, "draw"),
        "image_px": config.image_px,
    }


def folder_name(species: Species) -> str:
    return species.name.lower().replace(" ", "_")


def _manifest_row(row: Mapping[str, Any], folder: str) -> dict[str, Any]:
    return {
        "image_id": row["image_id"],
        "uri": join(folder, row["path"]),
        "label": row["label"],
        "class_name": row["class_name"],
        "split": row["split"],
        "attributes": json.dumps({"form": row["form"]}),
    }
