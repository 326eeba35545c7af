import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import Image

from gist_ray.demo.butterflies.attributes import Attributes
from gist_ray.demo.butterflies.collection import (
    picture_rows,
    write_collection,
)
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.pictures import draw_row
from gist_ray.demo.butterflies.species import FORM_SHARES, make_species
from gist_ray.schema import MANIFEST
from gist_ray.store import storage

TINY = WorldConfig(
    num_genera=2,
    species_per_genus=2,
    train_per_species=3,
    val_per_species=1,
    test_per_species=2,
    image_px=16,
)


def test_any_part_of_a_world_is_the_same_alone() -> None:
    world = make_species(TINY)
    whole = picture_rows(TINY, world).to_pylist()
    parts = [row for one in reversed(world) for row in picture_rows(TINY, [one]).to_pylist()]
    key = "image_id"
    assert sorted(parts, key=lambda row: row[key]) == sorted(whole, key=lambda row: row[key])
    drawn = {row[key]: draw_row(row) for row in whole}
    assert {row[key]: draw_row(row) for row in parts} == drawn
    assert len(set(drawn.values())) == len(whole) == 24


def test_pictures_stay_when_a_world_grows() -> None:
    larger = WorldConfig(**{**vars(TINY), "num_genera": 3, "train_per_species": 5})
    before = {row["image_id"]: row for row in picture_rows(TINY).to_pylist()}
    after = {row["image_id"]: row for row in picture_rows(larger).to_pylist()}
    assert {image_id: after[image_id] for image_id in before} == before


def test_worlds_and_splits_share_no_picture() -> None:
    rows = [row for seed in (1, 2) for row in picture_rows(WorldConfig(seed=seed)).to_pylist()]
    assert len({row["image_id"] for row in rows}) == len(rows) == 2 * 1400
    assert len({row["draw_seed"] for row in rows}) == len(rows)


def test_pictures_show_a_form_of_their_species_in_the_shares_of_nature() -> None:
    world = make_species(WorldConfig())
    rows = picture_rows(WorldConfig(), world).to_pylist()
    for row in rows:
        form = world[row["label"]].forms[row["form"]]
        shown = Attributes.from_json(row["attributes"])
        assert replace(shown, background=form.background, pose=form.pose) == form
    counts = Counter(row["form"] for row in rows)
    for form, share in FORM_SHARES.items():
        assert counts[form] / len(rows) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_written_collection_is_an_ordinary_data_set(place: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "world") if place == "local" else f"memory://{tmp_path.name}/world"
    returned = write_collection(TINY, folder)
    manifest = storage.read_parquet(f"{folder}/manifest.parquet")
    assert manifest.equals(returned)
    assert manifest.schema.equals(MANIFEST)
    assert Counter(manifest["split"].to_pylist()) == {"train": 12, "val": 4, "test": 8}
    notes = storage.read_json(f"{folder}/notes.json")
    for row in manifest.to_pylist():
        picture = Image.open(io.BytesIO(storage.read_bytes(row["uri"])))
        assert picture.size == (16, 16)
        assert row["uri"].startswith(folder)
        form = json.loads(row["attributes"])["form"]
        assert {"wings", "forewings"} & set(notes[row["class_name"]][form])
    labels = pa.table({"l": manifest["label"], "c": manifest["class_name"]}).to_pylist()
    assert len({(row["l"], row["c"]) for row in labels}) == len(notes) == 4
    files = [name for name in storage.list_files(folder) if name.endswith(".png")]
    assert len(files) == manifest.num_rows


def test_a_world_written_twice_is_the_same_to_the_byte(tmp_path: Path) -> None:
    first, second = (write_collection(TINY, str(tmp_path / name)) for name in "ab")
    for one, other in zip(first["uri"].to_pylist(), second["uri"].to_pylist(), strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()
        assert np.asarray(Image.open(one)).std() > 0


def test_the_shipped_config_is_the_default_world() -> None:
    path = Path(__file__).parents[2] / "configs" / "data" / "butterflies.yaml"
    assert WorldConfig(**yaml.safe_load(path.read_text())) == WorldConfig()
