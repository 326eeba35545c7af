import json

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

SPLIT = {
    "train": [["b/2.jpg", 1, "missile"], ["a/1.jpg", 0, "missile"], ["c.jpg", 2, "cobalt_blue"]],
    "val": [["v.jpg", 0, "missile"]],
    "test": [["t.jpg", 2, "cobalt_blue"]],
}


def write_split(write_files, root, split: object) -> str:
    return write_files(root, {"split_zhou_X.json": json.dumps(split, indent=1), "jpg/a/1.jpg": ""})


@pytest.mark.parametrize("root", ["local", "memory://coop_split"])
@pytest.mark.parametrize("path", ["", "/split_zhou_X.json"])
def test_order_and_labels_of_the_file_are_kept(root, path, tmp_path, write_files):
    root = write_split(write_files, tmp_path if root == "local" else root, SPLIT)
    manifest, _ = ingest(DataConfig(layout="coop_split", path=root + path, images="jpg"))
    assert [
        (r["uri"].removeprefix(f"{root}/jpg/"), r["label"], r["class_name"], r["split"])
        for r in manifest.to_pylist()
    ] == [
        ("b/2.jpg", 1, "missile", "train"),
        ("a/1.jpg", 0, "missile", "train"),
        ("c.jpg", 2, "cobalt blue", "train"),
        ("v.jpg", 0, "missile", "val"),
        ("t.jpg", 2, "cobalt blue", "test"),
    ]


def test_labels_that_share_a_name_can_be_told_apart(tmp_path, write_files):
    root = write_split(write_files, tmp_path, SPLIT)
    write_files(tmp_path, {"names.json": '{"0": "rocket", "1": "projectile"}'})
    manifest, _ = ingest(
        DataConfig(layout="coop_split", path=root, class_names=f"{root}/names.json")
    )
    names = manifest.column("class_name").to_pylist()
    assert names[:3] == ["projectile", "rocket", "cobalt blue"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (SPLIT | {"val": [["v.jpg", "0", "missile"]]}, r"X.json, val\[0\]: .*is not \[path, label"),
        (SPLIT | {"val": [["v.jpg", 0]]}, r"X.json, val\[0\]: .*is not \[path, label"),
        (
            SPLIT | {"val": [["v.jpg", 0, "bomb"]]},
            r"val\[0\]: label 0 .*'bomb', but 'missile' in .*train\[1\]",
        ),
        (SPLIT | {"val": [["v.jpg", 4, "bomb"]]}, r"labels are not 0..3: 3 has no images"),
        ({"train": []}, r"lists train, val and test; this has \['train'\]"),
        ([], r"is not a CoOp split file"),
    ],
)
def test_broken_entry_is_named(split, message, tmp_path, write_files):
    with pytest.raises(UserError, match=message):
        ingest(DataConfig(layout="coop_split", path=write_split(write_files, tmp_path, split)))


def test_broken_json_is_named_with_its_line(tmp_path, write_files):
    root = write_files(tmp_path, {"split_zhou_X.json": '{"train": [\n["a.jpg", 0 "a"]]}'})
    with pytest.raises(UserError, match=r"split_zhou_X.json, line 2: is not valid JSON"):
        ingest(DataConfig(layout="coop_split", path=root))


def test_folder_has_to_hold_one_split_file(tmp_path, write_files):
    root = write_files(tmp_path, {"split_zhou_A.json": "{}", "split_zhou_B.json": "{}"})
    with pytest.raises(UserError, match=r"has 2 files split_zhou_\*.json where one is expected"):
        ingest(DataConfig(layout="coop_split", path=root))
