import json

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from gist_ray.schema import ERRORS, MANIFEST, stable_id
from tests.datasets.ingesting import ingest


def folder(path: str, **values: object) -> DataConfig:
    return DataConfig(layout="image_folder", path=path, **values)


def test_manifest_has_its_schema_and_ids_of_relative_paths(tmp_path, write_files):
    root = write_files(tmp_path, {"train/a/1.jpg": "", "val/a/2.jpg": "", "test/a/3.jpg": ""})
    manifest, errors = ingest(folder(root))
    assert manifest.schema == MANIFEST
    assert errors.schema == ERRORS
    assert errors.num_rows == 0
    assert manifest.to_pylist()[1] == {
        "image_id": stable_id("train/a/1.jpg"),
        "uri": f"{root}/train/a/1.jpg",
        "label": 0,
        "class_name": "a",
        "split": "train",
        "group": None,
        "attributes": "{}",
    }


def test_ids_do_not_change_when_the_data_set_moves(tmp_path, write_files):
    files = {"a/1.jpg": "", "a/2.jpg": "", "b/1.jpg": ""}
    here, _ = ingest(folder(write_files(tmp_path / "here", files)))
    there, _ = ingest(folder(write_files("memory://ingest_moves/there", files)))
    assert here.column("image_id") == there.column("image_id")
    assert here.column("split") == there.column("split")
    assert there.column("uri")[0].as_py() == "memory://ingest_moves/there/a/1.jpg"


def test_relative_path_becomes_an_absolute_uri(tmp_path, write_files, monkeypatch):
    write_files(tmp_path, {"data/a/1.jpg": ""})
    monkeypatch.chdir(tmp_path)
    manifest, _ = ingest(folder("data"))
    assert manifest.column("uri").to_pylist() == [f"{tmp_path}/data/a/1.jpg"]


def test_missing_path_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: the data set is not there"):
        ingest(folder(str(tmp_path / "nowhere")))


def test_display_names_are_separate_from_folder_names(tmp_path, write_files):
    root = write_files(
        tmp_path / "data", {"Chuck_will_Widow/1.jpg": "", "Artic_Tern/1.jpg": "", "007/1.jpg": ""}
    )
    names = write_files(
        tmp_path, {"names.json": json.dumps({"Chuck_will_Widow": 'Chuck-will\'s-"widow"\n'})}
    )
    manifest, _ = ingest(folder(root, class_names=f"{names}/names.json"))
    assert manifest.column("class_name").to_pylist() == [
        "007",
        "Artic Tern",
        'Chuck-will\'s-"widow"',
    ]


def test_misspelt_key_of_class_names_is_named(tmp_path, write_files):
    root = write_files(
        tmp_path, {"d/a/1.jpg": "", "d/b/1.jpg": "", "n.json": '{"a": "Ant", "bb": "Bee"}'}
    )
    with pytest.raises(UserError, match=r"n.json: 'bb' are no classes.*no names for 'b'"):
        ingest(folder(f"{root}/d", class_names=f"{root}/n.json"))


def test_class_names_may_name_more_classes_than_there_are(tmp_path, write_files):
    root = write_files(tmp_path, {"d/a/1.jpg": "", "n.json": '{"a": "Ant", "z": "Zebra"}'})
    manifest, _ = ingest(folder(f"{root}/d", class_names=f"{root}/n.json"))
    assert manifest.column("class_name").to_pylist() == ["Ant"]


def test_broken_class_names_file_is_named_with_its_line(tmp_path, write_files):
    root = write_files(tmp_path, {"d/a/1.jpg": "", "n.json": '{"a":\n "Ant",\n}'})
    with pytest.raises(UserError, match=r"n.json, line 3: is not valid JSON"):
        ingest(folder(f"{root}/d", class_names=f"{root}/n.json"))


def test_every_problem_is_reported_at_once(tmp_path, write_files):
    rows = "image,label,split\nx.jpg,a,train\nx.jpg,a,train\ny.jpg,b,test\nz.jpg,c,val\n"
    root = write_files(tmp_path, {"m.csv": rows})
    with pytest.raises(UserError) as caught:
        ingest(DataConfig(layout="manifest", path=f"{root}/m.csv", class_names=f"{root}/none.json"))
    assert len(caught.value.problems) == 4
    message = str(caught.value)
    assert "none.json: this file of the data set is not there" in message
    assert "(x.jpg) is there twice" in message
    assert "m.csv, row 1" in message
    assert "m.csv, row 2" in message
    assert "classes 'b', 'c' have images in val or test but none in train" in message


def test_data_set_without_images_says_what_went_wrong_first(tmp_path, write_files):
    root = write_files(tmp_path, {"stray.jpg": "", "notes.txt": ""})
    with pytest.raises(
        UserError, match=r"1 pictures lie directly in it, and none in a class folder"
    ):
        ingest(folder(root))


def test_empty_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"has no usable image\.$"):
        ingest(folder(str(tmp_path)))


def test_text_that_no_table_can_hold_is_named(tmp_path, write_files):
    rows = '{"image": "\\ud800.jpg", "label": "a", "split": "train"}\n'
    root = write_files(tmp_path, {"m.jsonl": rows})
    with pytest.raises(UserError, match=r"m.jsonl, row 1: '\\ud800.jpg' is not Unicode text"):
        ingest(DataConfig(layout="manifest", path=f"{root}/m.jsonl"))
