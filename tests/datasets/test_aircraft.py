import json

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

FILES = {
    "images/0034309.jpg": "",
    "variants.txt": "F-16A/B\nDC-3\nF/A-18\n",
    "families.txt": "F-16\nDC-3\nF/A-18\n",
    "manufacturers.txt": "McDonnell Douglas\nLockheed Martin\n",
    "images_variant_train.txt": "0034309 F/A-18\n0034310 DC-3\n0034311 F-16A/B\n",
    "images_variant_val.txt": "1234567 F/A-18\n",
    "images_variant_test.txt": "0000001 DC-3\n",
    "images_manufacturer_train.txt": "0034309 McDonnell Douglas\n0034311 Lockheed Martin\n",
    "images_manufacturer_val.txt": "1234567 McDonnell Douglas\n",
    "images_manufacturer_test.txt": "0000001 McDonnell Douglas\n",
    "images_box.txt": "0034309 3 144 998 431\n",
}


def read(root: str, **values: object):
    return ingest(DataConfig(layout="aircraft", path=root, **values))[0]


@pytest.mark.parametrize("folder", ["", "data/", "fgvc-aircraft-2013b/data/"])
def test_ids_keep_zeros_and_labels_follow_the_list(folder, tmp_path, write_files):
    rows = read(write_files(tmp_path, {folder + k: v for k, v in FILES.items()})).to_pylist()
    assert rows[0]["uri"] == f"{tmp_path}/{folder}images/0034309.jpg"
    assert [(row["label"], row["class_name"], row["split"]) for row in rows] == [
        (2, "F/A-18", "train"),
        (1, "DC-3", "train"),
        (0, "F-16A/B", "train"),
        (2, "F/A-18", "val"),
        (1, "DC-3", "test"),
    ]
    assert json.loads(rows[0]["attributes"]) == {
        "id": "0034309",
        "bounding_box_xyxy": [3, 144, 998, 431],
    }


def test_name_is_all_after_the_first_space(tmp_path, write_files):
    manifest = read(write_files(tmp_path, FILES), variant="manufacturer")
    assert manifest.column("class_name")[0].as_py() == "McDonnell Douglas"
    assert manifest.column("label").to_pylist() == [0, 1, 0, 0]


def test_missing_level_is_named(tmp_path, write_files):
    with pytest.raises(UserError, match=r"images_family_val.txt: this file of the data set is not"):
        read(write_files(tmp_path, FILES), variant="family")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("images_variant_val.txt", "1234567 F-18\n", r"val.txt, line 1: 'F-18' is not in variants"),
        ("images_variant_val.txt", "\n1234567\n", r"val.txt, line 2: '1234567' is not '<id> <va"),
        ("images_variant_val.txt", "0034309 F/A-18\n", r"images/0034309.jpg\) is there twice"),
        ("images_box.txt", "0034309 3 144 998\n", r"images_box.txt, line 1: .*not xmin ymin xmax"),
        ("variants.txt", "F-16A/B\nDC-3\nF/A-18\nTu-154\n", r"the classes 'Tu-154' have no images"),
    ],
)
def test_broken_line_is_named(file, text, message, tmp_path, write_files):
    with pytest.raises(UserError, match=message):
        read(write_files(tmp_path, FILES | {file: text}))
