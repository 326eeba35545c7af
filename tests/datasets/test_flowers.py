import io
import json
from collections.abc import Mapping

import numpy as np
import pytest
from scipy.io import savemat

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

NAMES = {"1": "pink primrose", "2": "colt's foot", "3": "hard-leaved pocket orchid"}
LABELS = [1, 1, 1, 3, 3, 3, 2, 2, 2]
SETS = {"trnid": [1, 4, 7], "valid": [2, 5, 8], "tstid": [9, 6, 3]}


def mat(arrays: Mapping[str, list[int]]) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {key: np.array([values]) for key, values in arrays.items()})
    return buffer.getvalue()


def flowers_files(labels=LABELS, sets=SETS, names=NAMES) -> dict[str, str | bytes]:
    return {
        "jpg/image_00001.jpg": "",
        "imagelabels.mat": mat({"labels": labels}),
        "setid.mat": mat(sets),
        "cat_to_name.json": json.dumps(names),
    }


def read(root: str, **values: object):
    return ingest(DataConfig(layout="flowers", path=root, **values))[0]


@pytest.mark.parametrize("root", ["local", "memory://flowers"])
def test_numbers_and_labels_are_one_based(root, tmp_path, write_files):
    root = write_files(tmp_path if root == "local" else root, flowers_files())
    rows = read(root).to_pylist()
    assert rows[0]["uri"] == f"{root}/jpg/image_00001.jpg"
    assert [row["label"] for row in rows] == [0, 0, 0, 2, 2, 2, 1, 1, 1]
    assert [row["split"] for row in rows] == ["train", "val", "test"] * 3
    assert rows[8]["class_name"] == "colt's foot"
    assert json.loads(rows[8]["attributes"]) == {"id": 9}


def test_train_and_test_can_be_swapped_by_name(tmp_path, write_files):
    manifest = read(write_files(tmp_path, flowers_files()), flowers_train_on="tstid")
    assert manifest.column("split").to_pylist() == ["test", "val", "train"] * 3


def test_names_have_to_come_from_somewhere(tmp_path, write_files):
    files = flowers_files()
    names = files.pop("cat_to_name.json")
    root = write_files(tmp_path, files | {"names.json": names})
    with pytest.raises(UserError, match=r"classes '1', '2', '3' have no display name. Set class_"):
        read(root)
    assert (
        read(root, class_names=f"{root}/names.json").column("class_name")[0].as_py() == NAMES["1"]
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (flowers_files(sets=SETS | {"valid": [2, 5, 1]}), r"images 1 are in more than one list"),
        (flowers_files(sets=SETS | {"valid": [2, 5]}), r"numbers 8 are in none of trnid, valid"),
        (flowers_files(sets=SETS | {"valid": [2, 5, 8, 0]}), r"image numbers 0 are not in 1..9"),
        (flowers_files(labels=[0, *LABELS[1:]]), r"has class 0; classes start at 1"),
        (flowers_files(sets={"trnid": [1]}), r"setid.mat: has no array 'valid'"),
        (flowers_files() | {"setid.mat": b"no"}, r"setid.mat: is not a MATLAB file"),
        (flowers_files() | {"setid.mat": mat(SETS)[:200]}, r"setid.mat: is not a MATLAB file"),
        (flowers_files() | {"cat_to_name.json": "[]"}, r"cat_to_name.json: is not a JSON object"),
    ],
)
def test_broken_layout_is_named(files, message, tmp_path, write_files):
    with pytest.raises(UserError, match=message):
        read(write_files(tmp_path, files))
