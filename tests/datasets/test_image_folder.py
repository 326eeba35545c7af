import os
from collections import Counter

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.errors import UserError
from gist_ray.store import storage


def read(path: object, **values: object):
    return ingest(DataConfig(layout="image_folder", path=str(path), **values))


def rows(manifest) -> dict[str, tuple[int, str]]:
    """{file name: (label, split)}"""
    return {
        row["uri"].rpartition("/")[2]: (row["label"], row["split"]) for row in manifest.to_pylist()
    }


@pytest.mark.parametrize("root", ["local", "memory://image_folder/splits"])
def test_split_folders(root, tmp_path, write_files):
    root = str(tmp_path) if root == "local" else root
    files = {
        "Train/b/1.jpg": "",
        "Train/a/2.PNG": "",
        "validation/a/3.webp": "",
        "test/b/4.tif": "",
    }
    manifest, errors = read(write_files(root, files | {"README.md": "", "Train/a/notes.txt": ""}))
    assert rows(manifest) == {
        "1.jpg": (1, "train"),
        "2.PNG": (0, "train"),
        "3.webp": (0, "val"),
        "4.tif": (1, "test"),
    }
    assert errors.num_rows == 0


def test_class_folders_get_seeded_splits(tmp_path, write_files):
    files = {f"{name}/{n}.jpg": "" for name in ("a", "b") for n in range(10)}
    manifest, _ = read(write_files(tmp_path, files))
    counts = Counter(
        zip(*(manifest.column(c).to_pylist() for c in ("label", "split")), strict=True)
    )
    assert counts == {
        (label, split): n
        for label in (0, 1)
        for split, n in (("train", 7), ("val", 1), ("test", 2))
    }
    other, _ = read(tmp_path, seed=1)
    assert other.column("split") != manifest.column("split")


def test_val_is_drawn_where_only_train_and_test_are_there(tmp_path, write_files):
    files = {f"train/a/{n}.jpg": "" for n in range(10)} | {"test/a/x.jpg": ""}
    manifest, _ = read(write_files(tmp_path, files))
    assert Counter(manifest.column("split").to_pylist()) == {"train": 9, "val": 1, "test": 1}
    assert rows(manifest)["x.jpg"] == (0, "test")


def test_odd_names_survive(tmp_path, write_files):
    names = [
        'it\'s "so".jpg',
        "two\nlines.jpg",
        "Ünïcode 蝶.jpg",
        " lead.jpg",
        "007.jpg",
        "a#b?%20.jpg",
    ]
    write_files(tmp_path, {f"0 1_é'\"\n/{name}": name for name in names} | {"007/1.gif": ""})
    manifest, _ = read(tmp_path)
    found = {row["uri"]: row for row in manifest.to_pylist()}
    for name in names:
        uri = f"{tmp_path}/0 1_é'\"\n/{name}"
        assert found[uri]["class_name"] == "0 1 é'\""
        assert storage.read_text(uri) == name
    assert found[f"{tmp_path}/007/1.gif"]["class_name"] == "007"


def test_pictures_may_lie_deeper_in_a_class(tmp_path, write_files):
    manifest, _ = read(write_files(tmp_path, {"a/x/1.jpg": "", "a/y/1.jpg": "", "b/2.jpg": ""}))
    assert manifest.column("label").to_pylist() == [0, 0, 1]


def test_hidden_and_other_files_are_skipped(tmp_path, write_files):
    files = {"a/1.jpg": "", "a/._1.jpg": "", ".cache/1.jpg": "", "a/.x/1.jpg": "", "a/1.json": ""}
    manifest, errors = read(write_files(tmp_path, files))
    assert manifest.num_rows == 1
    assert errors.num_rows == 0


def test_picture_outside_a_class_is_an_error_row(tmp_path, write_files):
    manifest, errors = read(write_files(tmp_path, {"train/a/1.jpg": "", "train/2.jpg": ""}))
    assert manifest.num_rows == 1
    (row,) = errors.to_pylist()
    assert (row["id"], row["kind"], row["stage"]) == ("train/2.jpg", "bad_layout", "ingest")
    assert "Move it to split/class/picture" in row["message"]


def test_links_inside_are_read_and_links_out_are_refused(tmp_path, write_files):
    root = tmp_path / "data"
    write_files(tmp_path, {"outside/secret.jpg": "", "data/a/1.jpg": ""})
    os.symlink(root / "a" / "1.jpg", root / "a" / "inside.jpg")
    os.symlink(tmp_path / "outside" / "secret.jpg", root / "a" / "out.jpg")
    os.symlink(root / "gone.jpg", root / "a" / "broken.jpg")
    os.symlink(tmp_path / "outside", root / "b")
    manifest, errors = read(root)
    assert set(rows(manifest)) == {"1.jpg", "inside.jpg"}
    assert {row["id"]: row["kind"] for row in errors.to_pylist()} == {
        "a/out.jpg": "forbidden",
        "a/broken.jpg": "missing",
        "b": "forbidden",
    }


def test_file_name_that_is_not_utf8_is_an_error_row(tmp_path, write_files):
    write_files(tmp_path, {"a/1.jpg": ""})
    (tmp_path / "a" / os.fsdecode(b"\xff.jpg")).write_bytes(b"")
    manifest, errors = read(tmp_path)
    assert manifest.num_rows == 1
    (row,) = errors.to_pylist()
    assert (row["id"], row["kind"]) == ("a/\\udcff.jpg", "bad_name")


def test_split_folders_beside_others_are_refused(tmp_path, write_files):
    write_files(tmp_path, {"train/a/1.jpg": "", "test/a/1.jpg": "", "extra/a/1.jpg": ""})
    with pytest.raises(UserError, match=r"split folders \('test', 'train'\).*\('extra'\)"):
        read(tmp_path)


def test_a_class_may_be_called_train(tmp_path, write_files):
    manifest, _ = read(write_files(tmp_path, {"train/1.jpg": "", "bus/1.jpg": ""}))
    assert manifest.column("class_name").to_pylist() == ["bus", "train"]
