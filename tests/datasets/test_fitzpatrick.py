import json
from collections import Counter

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

HEADER17 = "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,qc,url,url_alphanum\n"
ROWS17 = "".join(
    f'{n:032x},3,-1,"{label}",,{"" if n == 1 else "http://x/" + str(n)},\n'
    for n, label in enumerate(["psoriasis"] * 10 + ["acne, mild"] * 10)
)
CSV40 = (
    ",Unnamed: 0,md5hash,fitzpatrick_scale,species,qc,url,filename,fitzpatrick,split,label\n"
    "0,0,aa,3,congenital nevus,,http://x,data/finalfitz17k/aa.jpg,3.5,train,1\n"
    "5,5,bb,-1,acne,1 Diagnostic,,data/finalfitz17k/bb.jpg,,train,0\n"
    "7,7,cc,2,acne,,,data/finalfitz17k/cc.jpg,2.0,test,0\n"
)


def test_17k_has_alphabetical_labels_and_seeded_splits(tmp_path, write_files):
    root = write_files(tmp_path, {"fitzpatrick17k.csv": HEADER17 + ROWS17, "images/x.jpg": ""})
    manifest, errors = ingest(DataConfig(layout="fitzpatrick17k", path=root, images="images"))
    rows = manifest.to_pylist()
    assert errors.num_rows == 0
    assert rows[0]["uri"] == f"{root}/images/{0:032x}.jpg"
    assert (rows[0]["label"], rows[0]["class_name"]) == (1, "psoriasis")
    assert (rows[19]["label"], rows[19]["class_name"]) == (0, "acne, mild")
    assert Counter(row["split"] for row in rows) == {"train": 14, "val": 2, "test": 4}
    assert json.loads(rows[1]["attributes"]) == {
        "md5hash": f"{1:032x}",
        "fitzpatrick_scale": "3",
        "fitzpatrick_centaur": "-1",
    }


def test_17k_row_without_hash_or_label_is_an_error_row(tmp_path, write_files):
    text = HEADER17 + ROWS17 + ",3,3,acne,,,\nff,3,3,,,,\n"
    root = write_files(tmp_path, {"fitzpatrick17k.csv": text})
    manifest, errors = ingest(DataConfig(layout="fitzpatrick17k", path=root))
    assert manifest.num_rows == 20
    assert [(row["id"], row["kind"]) for row in errors.to_pylist()] == [
        ("row 21", "missing"),
        ("row 22", "missing"),
    ]


@pytest.mark.parametrize(
    ("images", "folder"), [("", "data/finalfitz17k"), ("pictures", "pictures")]
)
def test_40_keeps_labels_and_splits(images, folder, tmp_path, write_files):
    root = write_files(tmp_path, {"metadata.csv": CSV40, "pictures/aa.jpg": ""})
    manifest, _ = ingest(
        DataConfig(layout="fitzpatrick40", path=f"{root}/metadata.csv", images=images)
    )
    rows = manifest.to_pylist()
    assert [row["uri"] for row in rows] == [f"{root}/{folder}/{n}.jpg" for n in ("aa", "bb", "cc")]
    assert [(row["label"], row["class_name"], row["split"]) for row in rows] == [
        (1, "congenital nevus", "train"),
        (0, "acne", "train"),
        (0, "acne", "test"),
    ]
    assert json.loads(rows[0]["attributes"]) == {
        "md5hash": "aa",
        "fitzpatrick_scale": "3",
        "url": "http://x",
        "fitzpatrick": "3.5",
    }


def test_images_may_lie_elsewhere(tmp_path, write_files):
    root = write_files(tmp_path, {"metadata.csv": CSV40})
    pictures = write_files("memory://fitzpatrick/pictures", {"aa.jpg": ""})
    manifest, _ = ingest(DataConfig(layout="fitzpatrick40", path=root, images=pictures))
    assert manifest.column("uri")[0].as_py() == f"{pictures}/aa.jpg"


@pytest.mark.parametrize(
    ("layout", "files", "message"),
    [
        (
            "fitzpatrick17k",
            {"x": ""},
            r"fitzpatrick17k.csv: this file of the data set is not there",
        ),
        (
            "fitzpatrick17k",
            {"fitzpatrick17k.csv": CSV40.replace("md5hash", "hash")},
            r"no column 'md5hash'. Is this fitzpatrick17k.csv",
        ),
        (
            "fitzpatrick40",
            {"metadata.csv": HEADER17 + ROWS17},
            r"no column 'species'. Is this meta",
        ),
        ("fitzpatrick40", {"metadata.csv": CSV40 + "9,9,dd\n"}, r"metadata.csv, line 5: has 3 fie"),
    ],
)
def test_broken_layout_is_named(layout, files, message, tmp_path, write_files):
    with pytest.raises(UserError, match=message):
        ingest(DataConfig(layout=layout, path=write_files(tmp_path, files)))


def test_missing_image_folder_is_named(tmp_path, write_files):
    root = write_files(tmp_path, {"metadata.csv": CSV40})
    with pytest.raises(UserError, match=r"gone: the folder with the pictures is not there"):
        ingest(DataConfig(layout="fitzpatrick40", path=root, images="gone"))
