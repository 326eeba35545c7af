import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from gist_ray.images.decode import fetch
from gist_ray.schema import stable_id
from gist_ray.store import storage
from tests.datasets.ingesting import ingest


def write(uri: str, columns: dict[str, object], names: list[str] | None = None) -> None:
    table = pa.table(columns)
    if names:
        label = {"names": names, "_type": "ClassLabel"}
        features = {"label": label, "image": {"_type": "Image"}}
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=3)
    storage.write_bytes(uri, sink.getvalue().to_pybytes())


def images(first: int, count: int) -> list[dict[str, object]]:
    return [{"bytes": b"picture %d" % n, "path": None} for n in range(first, first + count)]


def read(path: object, **values: object):
    config = DataConfig(layout="parquet_images", path=str(path), **values)
    return ingest(config, "memory://parquet_images/indices")


@pytest.mark.parametrize("root", ["local", "memory://parquet_images/hf"])
def test_a_hugging_face_set(root, tmp_path):
    root = str(tmp_path) if root == "local" else root
    names = ["Zebra", "Ant"]
    train = {"image": images(0, 8), "label": [0, 1] * 4, "age": [None, *range(7)]}
    write(f"{root}/data/train-00000-of-00001.parquet", train, names)
    test = {"image": images(8, 2), "label": [1, 0], "age": [1, 2]}
    write(f"{root}/data/test-00000-of-00001.parquet", test, names)
    manifest, errors = read(root)
    assert errors.num_rows == 0
    rows = {row["image_id"]: row for row in manifest.to_pylist()}
    assert Counter(row["split"] for row in rows.values()) == {"train": 6, "val": 2, "test": 2}
    for number in range(8):
        row = rows[stable_id(f"train-00000-of-00001.parquet/{number}")]
        assert fetch(row["uri"], 100) == b"picture %d" % number
        assert (row["label"], row["class_name"]) == (number % 2, names[number % 2])
    row = rows[stable_id("test-00000-of-00001.parquet/1")]
    assert (fetch(row["uri"], 100), row["class_name"]) == (b"picture 9", "Zebra")
    assert json.loads(row["attributes"]) == {"age": 2}


def test_plain_bytes_and_columns_by_settings(tmp_path):
    columns = {"jpg": [b"1", b"2", b""], "kind": ["a", None, "b"], "fold": ["train"] * 3}
    write(f"{tmp_path}/a.parquet", columns)
    manifest, errors = read(
        f"{tmp_path}/*.parquet", image_column="jpg", class_column="kind", split_column="fold"
    )
    assert [fetch(uri, 9) for uri in manifest.column("uri").to_pylist()[:1]] == [b"1"]
    assert manifest.column("class_name").to_pylist() == ["a", "b"]
    (row,) = errors.to_pylist()
    assert (row["id"], row["kind"]) == ("a.parquet/1", "missing")


def test_further_test_sets_and_groups(tmp_path):
    columns = {"image": images(0, 3), "label": ["a"] * 3, "site": ["n", None, "s"]}
    columns["split"] = ["train", "val", "test/night"]
    write(f"{tmp_path}/a.parquet", columns)
    manifest, errors = read(tmp_path, group_column="site")
    assert errors.num_rows == 0
    assert manifest.column("split").to_pylist() == columns["split"]
    assert manifest.column("group").to_pylist() == columns["site"]


def test_unlabelled_rows_of_a_class_label_are_error_rows(tmp_path):
    write(f"{tmp_path}/a.parquet", {"image": images(0, 3), "label": [0, -1, 0]}, ["Ant"])
    manifest, errors = read(tmp_path)
    assert manifest.num_rows == 2
    assert [row["id"] for row in errors.to_pylist()] == ["a.parquet/1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1]}, "no column 'image' with images; it has no column of bytes"),
        ({"a": [b"1"], "b": [b"2"], "label": [1]}, "it has columns of bytes: a, b"),
        ({"image": images(0, 1)}, "no column 'class_name' and no column 'label'"),
    ],
)
def test_what_is_missing_is_named(columns, message, tmp_path):
    write(f"{tmp_path}/a.parquet", columns)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_damaged_file_is_named(tmp_path):
    storage.write_bytes(f"{tmp_path}/a.parquet", b"PAR1 no")
    with pytest.raises(UserError, match=r"a.parquet: cannot be read as Parquet"):
        read(tmp_path)
