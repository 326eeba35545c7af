import json

import pyarrow as pa
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.datasets.overview import about_files
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.errors import UserError
from gist_ray.schema import stable_id
from gist_ray.store import storage

PATHS = [f"{name}/{number}.jpg" for name in "ab" for number in range(6)]
OUT = [stable_id(path) for path in PATHS[:2]]


@pytest.fixture
def root(tmp_path, write_files) -> str:
    return write_files(tmp_path / "data", dict.fromkeys(PATHS, ""))


def config(root: str, exclude: object = "") -> DataConfig:
    return DataConfig(layout="image_folder", path=root, exclude=str(exclude))


def write_list(folder, kind: str, ids: list[str]) -> str:
    uri = f"{folder}/list.{kind}"
    if kind == "parquet":
        storage.write_parquet(uri, pa.table({"image_id": ids, "reason": ["x"] * len(ids)}))
    elif kind == "csv":
        storage.write_text(uri, "\n".join(["reason,image_id", *(f"x,{one}" for one in ids)]))
    else:
        storage.write_text(uri, "\n".join(json.dumps({"image_id": one}) for one in ids))
    return uri


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_named_images_are_left_out_and_counted(tmp_path, root, kind) -> None:
    whole = ingest(config(root)).manifest
    found = ingest(config(root, write_list(tmp_path, kind, [*OUT, OUT[0]])))
    # the splits of the others stay as they were
    assert found.manifest.to_pylist() == [
        row for row in whole.to_pylist() if row["image_id"] not in OUT
    ]
    assert "files left out: 2 named in exclude" in about_files(found)


def test_ids_of_no_image_are_told(tmp_path, root) -> None:
    found = ingest(config(root, write_list(tmp_path, "csv", [OUT[0], "ghost"])))
    assert len(found.manifest) == len(PATHS) - 1
    assert "exclude: 1 ids are of no image: 'ghost'" in about_files(found)


def test_a_list_of_another_data_set_is_refused(tmp_path, root) -> None:
    with pytest.raises(UserError, match="none of its 2 image_ids is in the data set"):
        ingest(config(root, write_list(tmp_path, "csv", ["ghost", "other"])))


def test_a_list_without_the_column_is_refused(tmp_path, root) -> None:
    file = tmp_path / "list.csv"
    file.write_text("id\nx\n")
    with pytest.raises(UserError, match="there is no column 'image_id'"):
        ingest(config(root, file))


def test_a_list_of_which_every_row_was_deleted(tmp_path, root) -> None:
    file = tmp_path / "list.csv"
    file.write_text('"image_id","reason"\n')
    assert ingest(config(root, file)).manifest == ingest(config(root)).manifest


def test_a_class_that_loses_its_training_images_is_told(tmp_path, root) -> None:
    ids = [stable_id(path) for path in PATHS if path.startswith("a")]
    with pytest.raises(UserError, match=r"'a'.* have no images"):
        ingest(config(root, write_list(tmp_path, "csv", ids)))


def test_pack_says_that_it_takes_every_image(tmp_path, root) -> None:
    with pytest.raises(ValueError, match="pack takes every image"):
        PackConfig(out="out", data=config(root, write_list(tmp_path, "csv", OUT)))
