import io
import json
from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray import schema
from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from gist_ray.schema import stable_id
from tests.datasets.ingesting import ingest

ROWS = [
    {"image": "007.jpg", "class_name": "F-16A/B", "label": "007", "split": "train"},
    {"image": "a b/2.jpg", "class_name": 'say "hi",\nthen', "label": "010", "split": "train"},
    {"image": "3.jpg", "class_name": "F-16A/B", "label": "007", "split": "valid"},
    {"image": "4.jpg", "class_name": "F-16A/B", "label": "007", "split": "test"},
]


def as_csv(rows: list[dict[str, str]]) -> str:
    lines = [",".join(rows[0])]
    for row in rows:
        lines.append(",".join('"' + value.replace('"', '""') + '"' for value in row.values()))
    return "\n".join(lines) + "\n"


def as_jsonl(rows: list[dict[str, str]]) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def as_categories(rows: list[dict[str, str]]) -> bytes:
    """Parquet whose columns are categorical, as pandas writes them."""
    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    pq.write_table(pa.table({n: table[n].dictionary_encode() for n in table.column_names}), sink)
    return sink.getvalue()


def read(path: str, **values: object):
    return ingest(DataConfig(layout="manifest", path=path, **values))


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("m.csv", as_csv),
        ("m.jsonl", as_jsonl),
        ("m.parquet", as_parquet),
        ("m.parquet", as_categories),
    ],
)
@pytest.mark.parametrize("root", ["local", "memory://user_manifest"])
def test_formats_read_alike(root, name, encode, tmp_path, write_files):
    root = write_files(tmp_path if root == "local" else root, {name: encode(ROWS)})
    manifest, errors = read(f"{root}/{name}")
    assert errors.num_rows == 0
    assert [
        (r["uri"].removeprefix(f"{root}/"), r["label"], r["class_name"], r["split"])
        for r in manifest.to_pylist()
    ] == [
        ("007.jpg", 0, "F-16A/B", "train"),
        ("a b/2.jpg", 1, 'say "hi", then', "train"),
        ("3.jpg", 0, "F-16A/B", "val"),
        ("4.jpg", 0, "F-16A/B", "test"),
    ]
    assert manifest.column("image_id")[0].as_py() == stable_id("007.jpg")
    assert json.loads(manifest.column("attributes")[0].as_py()) == {"label": "007"}


def test_unnamed_columns_are_dropped_and_others_become_attributes(tmp_path, write_files):
    text = ",Unnamed: 0.1,Unnamed: 0,ID,image,label,split\n0,0,0,01,x.jpg,cat,train\n"
    manifest, _ = read(write_files(tmp_path, {"m.csv": "\ufeff" + text}) + "/m.csv")
    assert json.loads(manifest.column("attributes")[0].as_py()) == {"ID": "01", "label": "cat"}
    assert manifest.column("class_name").to_pylist() == ["cat"]


def test_paths_may_be_relative_absolute_or_uris(tmp_path, write_files):
    images = [
        "./x/1.jpg",
        "../other/2.jpg",
        "/abs/3.jpg",
        "s3://bucket/4.jpg",
        f"{tmp_path}/t/x/5.jpg",
    ]
    rows = [{"image": image, "label": "a", "split": "train"} for image in images]
    manifest, _ = read(write_files(tmp_path, {"t/m.jsonl": as_jsonl(rows)}) + "/t/m.jsonl")
    assert manifest.column("uri").to_pylist() == [
        f"{tmp_path}/t/x/1.jpg",
        f"{tmp_path}/other/2.jpg",
        "/abs/3.jpg",
        "s3://bucket/4.jpg",
        f"{tmp_path}/t/x/5.jpg",
    ]
    ids = manifest.column("image_id").to_pylist()
    assert [ids[0], ids[4]] == [stable_id("x/1.jpg"), stable_id("x/5.jpg")]


def test_path_above_a_remote_table(write_files):
    rows = [{"image": "../jpg/1.jpg", "label": "a", "split": "train"}]
    root = write_files("memory://above", {"set/tables/m.jsonl": as_jsonl(rows)})
    manifest, _ = read(f"{root}/set/tables/m.jsonl")
    assert manifest.column("uri").to_pylist() == ["memory://above/set/jpg/1.jpg"]


def test_numeric_labels_keep_their_order(tmp_path, write_files):
    rows = [
        {"image": f"{n}.jpg", "label": n, "class_name": f"c{n}", "split": "train"}
        for n in (10, 9, 0)
    ]
    manifest, _ = read(write_files(tmp_path, {"m.jsonl": as_jsonl(rows)}) + "/m.jsonl")
    assert manifest.column("label").to_pylist() == [2, 1, 0]
    assert manifest.column("class_name").to_pylist() == ["c10", "c9", "c0"]


def test_parquet_floats_and_byte_columns(tmp_path, write_files):
    data = as_parquet(
        [
            {"image": "1.jpg", "label": 3.0, "picture": {"bytes": b"x"}, "age": None},
            {"image": "2.jpg", "label": None, "picture": {"bytes": b"x"}, "age": 2.5},
        ]
    )
    manifest, errors = read(write_files(tmp_path, {"m.parquet": data}) + "/m.parquet")
    assert manifest.column("class_name").to_pylist() == ["3"]
    assert json.loads(manifest.column("attributes")[0].as_py()) == {"label": "3"}
    assert [row["id"] for row in errors.to_pylist()] == ["row 2"]


def test_splits_are_drawn_without_a_split_column(tmp_path, write_files):
    rows = [{"image": f"{n}.jpg", "label": "a"} for n in range(10)]
    manifest, _ = read(write_files(tmp_path, {"m.csv": as_csv(rows)}) + "/m.csv")
    assert Counter(manifest.column("split").to_pylist()) == {"train": 7, "val": 1, "test": 2}


def test_bad_rows_become_error_rows_and_the_rest_goes_on(tmp_path, write_files):
    text = "image,label,split\n,a,train\n2.jpg,,train\n3.jpg,a,trian\n4.jpg,a,train\n"
    text += "5.jpg,,unlabeled\n"
    manifest, errors = read(write_files(tmp_path, {"m.csv": text}) + "/m.csv")
    assert [(r["label"], r["class_name"], r["split"]) for r in manifest.to_pylist()] == [
        (0, "a", "train"),
        (None, None, "unlabeled"),
    ]
    found = [(row["id"], row["kind"], row["message"]) for row in errors.to_pylist()]
    assert [row[:2] for row in found] == [
        ("row 1", "missing"),
        ("row 2", "missing"),
        ("row 3", "bad_split"),
    ]
    assert "row 1, column 'image'" in found[0][2]
    assert "row 2, column 'label'" in found[1][2]
    assert "column 'split': 'trian'" in found[2][2]


def test_own_ids(tmp_path, write_files):
    rows = [{"image": "1.jpg", "label": "a", "split": "train", "key": "0042"}]
    root = write_files(tmp_path, {"m.csv": as_csv(rows)})
    manifest, _ = read(f"{root}/m.csv", id_column="key")
    assert manifest.column("image_id").to_pylist() == ["0042"]


def test_label_with_two_names_is_refused_naming_rows(tmp_path, write_files):
    text = "image,label,class_name\n1.jpg,3,cat\n2.jpg,3,cat\n3.jpg,3,dog\n4.jpg,4,cat\n"
    root = write_files(tmp_path, {"m.csv": text})
    with pytest.raises(UserError, match=r"label '3'.*'cat' \(row 1\), 'dog' \(row 3\)"):
        read(f"{root}/m.csv")


def test_two_labels_may_share_a_name(tmp_path, write_files):
    text = "image,label,class_name,split\n1.jpg,0,missile,train\n2.jpg,1,missile,train\n"
    manifest, _ = read(write_files(tmp_path, {"m.csv": text}) + "/m.csv")
    assert manifest.column("label").to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "m.csv",
            "image,label\n1.jpg,a\n2.jpg,a,b\n",
            r"m.csv, line 3: has 3 fields.*header has 2",
        ),
        ("m.csv", 'image,label\n1.jpg,"a\n', r"m.csv, line 2: is not valid CSV"),
        ("m.csv", "image,image,label\n1,2,a\n", r"line 1: the column 'image' is there more than"),
        ("m.csv", b"image,label\n1.jpg,\xff\n", r"m.csv, line 2: is not UTF-8"),
        ("m.csv", "", r"has no rows"),
        ("m.csv", "file,label\n1.jpg,a\n", r"no column 'image'.*'file', 'label'.*Set image_column"),
        ("m.csv", "image,species\n1.jpg,a\n", r"no column 'class_name' and no column 'label'"),
        ("m.jsonl", '{"image": "1.jpg"}\n{"image"\n', r"m.jsonl, line 2: is not valid JSON"),
        ("m.jsonl", "[1]\n", r"m.jsonl, line 1: is not a JSON object"),
        ("m.parquet", "no", r"cannot be read as Parquet"),
        ("m.xlsx", "", r"ends in .csv, .parquet or .jsonl"),
    ],
)
def test_broken_table_is_named(name, text, message, tmp_path, write_files):
    root = write_files(tmp_path, {name: text})
    with pytest.raises(UserError, match=message):
        read(f"{root}/{name}")


def test_column_asked_for_by_name_has_to_be_there(tmp_path, write_files):
    root = write_files(tmp_path, {"m.csv": as_csv(ROWS)})
    with pytest.raises(UserError, match=r"no column 'fold'.*Set split_column"):
        read(f"{root}/m.csv", split_column="fold")


def test_signed_addresses_are_refused_and_not_shown(tmp_path, write_files):
    signed = {"image": "https://h/1.jpg?X-Amz-Date=1&X-Amz-Signature=geheim"}
    keyed = {"image": "s3://AKIA:geheim@bucket/1.jpg"}
    rows = [ROWS[0], {**ROWS[1], **signed}, {**ROWS[2], **keyed}]
    root = write_files(tmp_path, {"m.csv": as_csv(rows)})
    with pytest.raises(UserError, match="the addresses of 2 pictures hold credentials") as raised:
        read(f"{root}/m.csv")
    assert "m.csv, row 2" in str(raised.value)
    assert "geheim" not in str(raised.value)


FURTHER = [
    {"image": "1.jpg", "label": "a", "split": "train", "site": "north"},
    {"image": "2.jpg", "label": "b", "split": "train", "site": " "},
    {"image": "3.jpg", "label": "a", "split": "val", "site": "south "},
    {"image": "4.jpg", "label": "a", "split": "test", "site": "west"},
    {"image": "5.jpg", "label": "b", "split": "test/night", "site": "7"},
    {"image": "6.jpg", "label": "b", "split": " test/by_day-2.0 ", "site": "7"},
]


@pytest.mark.parametrize(
    ("name", "encode"), [("m.csv", as_csv), ("m.jsonl", as_jsonl), ("m.parquet", as_parquet)]
)
def test_further_test_sets_and_groups(name, encode, tmp_path, write_files):
    root = write_files(tmp_path, {name: encode(FURTHER)})
    manifest, errors = read(f"{root}/{name}", group_column="site")
    assert errors.num_rows == 0
    assert [(r["split"], r["group"]) for r in manifest.to_pylist()] == [
        ("train", "north"),
        ("train", None),
        ("val", "south"),
        ("test", "west"),
        ("test/night", "7"),
        ("test/by_day-2.0", "7"),
    ]
    assert schema.test_sets(manifest) == ["test", "test/by_day-2.0", "test/night"]
    # what is a group is no attribute besides
    assert [json.loads(one) for one in manifest.column("attributes").to_pylist()] == [
        {"label": row["label"]} for row in FURTHER
    ]


def test_without_a_group_column_images_have_no_group(tmp_path, write_files):
    root = write_files(tmp_path, {"m.csv": as_csv(FURTHER)})
    manifest, _ = read(f"{root}/m.csv")
    assert manifest.column("group").null_count == 6
    assert json.loads(manifest.column("attributes")[0].as_py())["site"] == "north"


def test_a_group_column_that_is_not_there_is_said(tmp_path, write_files):
    root = write_files(tmp_path, {"m.csv": as_csv(FURTHER)})
    with pytest.raises(UserError, match=r"no column 'patient'.*Set group_column"):
        read(f"{root}/m.csv", group_column="patient")


@pytest.mark.parametrize(
    "split",
    ["test/", "test/../x", "test/a/b", "test/.x", "test/a b", "Test/x", "train/x", "test/é"],
)
def test_a_test_set_has_a_name_that_a_file_may_have(split, tmp_path, write_files):
    rows = [*FURTHER, {"image": "7.jpg", "label": "a", "split": split, "site": ""}]
    manifest, errors = read(write_files(tmp_path, {"m.csv": as_csv(rows)}) + "/m.csv")
    assert len(manifest) == 6
    [row] = errors.to_pylist()
    assert (row["id"], row["kind"]) == ("row 7", "bad_split")
    assert f"column 'split': {split!r} is no split. Use train, val, test, unl" in row["message"]


def test_a_named_test_set_is_a_test_set_where_splits_are_drawn(tmp_path, write_files):
    rows = [{"image": f"{n}.jpg", "label": "a", "split": "train"} for n in range(10)]
    rows += [{"image": "night.jpg", "label": "a", "split": "test/night"}]
    manifest, _ = read(write_files(tmp_path, {"m.csv": as_csv(rows)}) + "/m.csv")
    splits = Counter(manifest.column("split").to_pylist())
    assert splits == {"train": 9, "val": 1, "test/night": 1}


def test_a_class_of_a_named_test_set_needs_training_images(tmp_path, write_files):
    rows = [*FURTHER, {"image": "7.jpg", "label": "c", "split": "test/night", "site": ""}]
    root = write_files(tmp_path, {"m.csv": as_csv(rows)})
    with pytest.raises(UserError, match="classes 'c' have images in val or test but none in train"):
        read(f"{root}/m.csv")


def test_groups_stay_together_where_splits_are_drawn(tmp_path, write_files):
    rows = [{"image": f"{n}.jpg", "label": "ab"[n % 2], "patient": f"p{n // 5}"} for n in range(60)]
    manifest, _ = read(
        write_files(tmp_path, {"m.csv": as_csv(rows)}) + "/m.csv", group_column="patient"
    )
    splits = defaultdict(set)
    for row in manifest.to_pylist():
        splits[row["group"]].add(row["split"])
    assert len(splits) == 12
    assert all(len(of_group) == 1 for of_group in splits.values())
    assert set.union(*splits.values()) == {"train", "val", "test"}
