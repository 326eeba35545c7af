from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.packing.shard import ROWS
from gist_ray.errors import UserError
from gist_ray.schema import table
from tests.datasets.ingesting import ingest


def packed(folder: Path, rows: pa.Table) -> DataConfig:
    """The manifest of a packed set, as far as it is read."""
    pq.write_table(rows, folder / "manifest.parquet")
    (folder / "artifact.json").write_text("{}")
    return DataConfig(layout="packed", path=str(folder))


def row(image_id: str, split: str, group: str | None) -> dict[str, object]:
    label = None if split == "unlabeled" else 0
    return {
        "image_id": image_id,
        "uri": f"shards/000000.parquet#{image_id}",
        "label": label,
        "class_name": None if label is None else "a",
        "split": split,
        "group": group,
        "attributes": "{}",
        "name": f"{image_id}.jpg",
    }


IMAGES = [("1", "train", "north"), ("2", "test/night", "south"), ("3", "unlabeled", None)]
ROWS_OF_SET = table([row(*image) for image in IMAGES], ROWS)


def test_rows_keep_their_test_set_and_their_group(tmp_path: Path) -> None:
    manifest, errors = ingest(packed(tmp_path, ROWS_OF_SET))
    assert errors.num_rows == 0
    assert [(r["image_id"], r["split"], r["group"]) for r in manifest.to_pylist()] == IMAGES


def test_a_set_that_was_packed_before_there_were_groups_is_read(tmp_path: Path) -> None:
    manifest, _ = ingest(packed(tmp_path, ROWS_OF_SET.drop_columns(["group"])))
    assert manifest.column("image_id").to_pylist() == ["1", "2", "3"]
    assert manifest.column("group").null_count == 3


def test_a_manifest_without_a_column_that_it_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.parquet: cannot be read .*Pack again"):
        ingest(packed(tmp_path, ROWS_OF_SET.drop_columns(["label"])))


def test_a_split_that_names_no_file_is_refused(tmp_path: Path) -> None:
    rows = table([row("1", "train", None), row("2", "test/../../up", None)], ROWS)
    with pytest.raises(UserError, match=r"split 'test/\.\./\.\./up' does not fit"):
        ingest(packed(tmp_path, rows))


def test_a_folder_that_is_no_packed_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a packed set, or its packing has not ended"):
        ingest(DataConfig(layout="packed", path=str(tmp_path)))
