"""The pretraining corpus: pictures of random butterflies, each with three captions.

Attributes are drawn at random for each picture, without classes. A butterfly of the corpus may look
like a species of a world, but the corpus has no picture of a world, since the two draw from
different random streams.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa

from gist_ray.demo.butterflies.attributes import (
    Attributes,
    random_attributes,
    random_pose,
)
from gist_ray.demo.butterflies.captions import (
    full_description,
    generic_caption,
    rich_caption,
)
from gist_ray.demo.butterflies.seeding import derived_seed, stream
from gist_ray.schema import PAIRS, stable_id, table
from gist_ray.store.storage import absolute, join

CorpusSplit = Literal["train", "held_out"]

CORPUS_ROWS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # relative to the folder that the corpus is written to
        pa.field("path", pa.string(), nullable=False),
        pa.field("captions", pa.list_(pa.string()), nullable=False),
        # the query that retrieves the picture in the evaluation
        pa.field("description", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),
        pa.field("draw_seed", pa.int64(), nullable=False),
        pa.field("image_px", pa.int32(), nullable=False),
    ]
)


def corpus_row(
    index: int, seed: int, split: CorpusSplit = "train", *, image_px: int = 64
) -> dict[str, Any]:
    """Returns a picture to draw and its captions, a row of CORPUS_ROWS that depends only on the
    arguments."""
    purpose = ("butterflies corpus", seed, split, index)
    rng = stream(*purpose)
    attributes = random_attributes(rng)
    attributes = replace(attributes, pose=random_pose(rng))
    image_id = stable_id(*purpose)
    return {
        "image_id": image_id,
        "path": f"images/{split}/{index // 1000:04d}/{image_id}.png",
        "captions": corpus_captions(attributes, rng),
        "description": full_description(attributes, rng),
        "attributes": attributes.to_json(),
        "draw_seed": derived_seed(*purpose, "draw"),
        "image_px": image_px,
    }


def corpus_captions(attributes: Attributes, rng: random.Random) -> list[str]:
    """Returns two captions as in a field guide and one as on the web."""
    return [
        rich_caption(attributes, rng),
        rich_caption(attributes, rng),
        generic_caption(attributes, rng),
    ]


def corpus_rows(
    num_pictures: int, seed: int, split: CorpusSplit = "train", *, image_px: int = 64
) -> pa.Table:
    """Returns `num_pictures` rows of CORPUS_ROWS, which `pictures.draw_row` draws."""
    rows = (corpus_row(index, seed, split, image_px=image_px) for index in range(num_pictures))
    return table(rows, CORPUS_ROWS)


def corpus_pair(row: Mapping[str, Any], folder_uri: str) -> dict[str, Any]:
    """Returns the row of PAIRS for a picture that was written below `folder_uri`."""
    return {
        "image_id": row["image_id"],
        "uri": join(absolute(folder_uri), row["path"]),
        "captions": row["captions"],
    }


def corpus_pairs(rows: pa.Table, folder_uri: str) -> pa.Table:
    return table((corpus_pair(row, folder_uri) for row in rows.to_pylist()), PAIRS)
