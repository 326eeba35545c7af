import os
from collections import Counter

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest as ingesting
from gist_ray.errors import UserError
from gist_ray.store import storage
from tests.datasets.ingesting import ingest


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
    manifest, errors = read(root)
    assert set(rows(manifest)) == {"1.jpg", "inside.jpg"}
    assert {row["id"]: row["kind"] for row in errors.to_pylist()} == {
        "a/out.jpg": "forbidden",
        "a/broken.jpg": "missing",
    }
    followed, errors = read(root, follow_links=True)
    assert set(rows(followed)) == {"1.jpg", "inside.jpg", "out.jpg"}
    assert errors.column("id").to_pylist() == ["a/broken.jpg"]


def test_a_folder_that_is_not_read_is_refused_however_small_its_share(tmp_path, write_files):
    """It stands for an unknown number of pictures, and no share of error rows can allow it."""
    root = tmp_path / "data"
    write_files(root, {f"a/{n}.jpg": "" for n in range(200)} | {"a/deep/1.jpg": ""})
    write_files(tmp_path / "elsewhere", {f"{n}.jpg": "" for n in range(60)})
    os.symlink(tmp_path / "elsewhere", root / "b")
    with pytest.raises(UserError, match=r"data/b' is a link to a folder, which is not followed"):
        read(root)
    manifest, errors = read(root, follow_links=True)
    assert Counter(manifest.column("class_name").to_pylist()) == {"a": 201, "b": 60}
    assert errors.num_rows == 0
    os.symlink(root, root / "a" / "deep" / "round")
    with pytest.raises(UserError, match=r"a link to a folder that contains it. Delete the link"):
        read(root, follow_links=True)


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("Training", "Testing", "test"),
        ("TRAIN", "dev", "val"),
        ("train_set", "test_set", "test"),
        ("train-images", "Development", "val"),
    ],
)
def test_usual_names_of_splits_are_known_in_any_case(tmp_path, write_files, train, other, split):
    files = {f"{top}/{name}/1.jpg": "" for top in (train, other) for name in ("a", "b", "c")}
    manifest, _ = read(write_files(tmp_path, files), val_fraction=0, test_fraction=0)
    assert sorted(set(manifest.column("class_name").to_pylist())) == ["a", "b", "c"]
    assert Counter(manifest.column("split").to_pylist()) == {"train": 3, split: 3}


@pytest.mark.parametrize("tops", [("fold1", "fold2"), ("train", "holdout"), ("x", "y", "z")])
def test_unknown_folders_that_hold_the_same_folders_are_refused(tmp_path, write_files, tops):
    files = {f"{top}/{name}/{n}.jpg": "" for top in tops for name in "abc" for n in range(4)}
    write_files(tmp_path, files | {f"{tops[0]}/d/1.jpg": ""})
    with pytest.raises(
        UserError, match=r"hold the same folders \('a', 'b', 'c'\)\. Either"
    ) as told:
        read(tmp_path)
    assert "split_names={" in str(told.value)
    as_classes, _ = read(tmp_path, split_names={})
    assert set(as_classes.column("class_name").to_pylist()) == set(tops)
    meant = dict(zip(tops, ("train", "test", "val"), strict=False))
    as_splits, _ = read(tmp_path, split_names=meant)
    assert set(as_splits.column("class_name").to_pylist()) == {"a", "b", "c", "d"}
    assert Counter(as_splits.column("split").to_pylist())["test"] == 12
    with pytest.raises(UserError, match="does not say which split the top folders"):
        read(tmp_path, split_names={tops[0]: "train"})


def test_classes_with_a_few_folders_in_common_are_classes(tmp_path, write_files):
    files = {f"{name}/{inner}/1.jpg": "" for name in "ab" for inner in ("2019", f"of {name}")}
    manifest, _ = read(write_files(tmp_path, files))
    assert set(manifest.column("class_name").to_pylist()) == {"a", "b"}


def test_one_folder_too_high_is_told_with_what_lies_below(tmp_path, write_files):
    write_files(tmp_path, {f"images/{name}/1.jpg": "" for name in ("crow", "jay")})
    with pytest.raises(UserError, match=r"has one class, 'images', and below it .*'crow', 'jay'"):
        read(tmp_path)


def test_every_ending_that_is_decoded_is_read_and_others_are_counted(tmp_path, write_files):
    endings = ("jpg", "JFIF", "ppm", "avif", "jp2", "pgm", "jpe", "apng")
    files = {f"a/{n}.{ending}": "" for n, ending in enumerate(endings)}
    found = ingesting(
        DataConfig(
            layout="image_folder",
            path=write_files(tmp_path, files | {"a/x.heic": "", "a/y.HEIC": "", "notes": ""}),
        )
    )
    assert len(found.manifest) == len(endings)
    assert found.left_out == {"ending .heic": 2, "no ending": 1}


@pytest.mark.parametrize("lost", ["b", "train/b", "test/b", "test"])
def test_a_folder_whose_files_were_all_left_out_is_a_problem(tmp_path, write_files, lost):
    read_ones = {"b": ["a", "c"], "test": ["train/a"]}.get(lost, ["train/a", "test/a"])
    files = {f"{folder}/1.jpg": "" for folder in read_ones}
    inside = "/a" if lost == "test" else ""
    write_files(tmp_path, files | {f"{lost}{inside}/{n}.heic": "" for n in range(3)})
    with pytest.raises(UserError, match=rf"/{lost}: has no picture.*3 files that end in \.heic"):
        read(tmp_path)


def test_a_folder_of_notes_is_no_class(tmp_path, write_files):
    files = {"a/1.jpg": "", "b/1.jpg": "", "notes/1.json": "", "notes/labels.csv": ""}
    manifest, _ = read(write_files(tmp_path, files))
    assert set(manifest.column("class_name").to_pylist()) == {"a", "b"}


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


def test_numbers_before_all_class_names_are_left_out_of_them(tmp_path, write_files):
    files = {f"{name}/1.jpg": "" for name in ("001.Black_footed_Albatross", "002.Laysan_Albatross")}
    manifest, _ = read(write_files(tmp_path / "cub", files))
    names = {"Black footed Albatross", "Laysan Albatross"}
    assert set(manifest.column("class_name").to_pylist()) == names


@pytest.mark.parametrize(
    "folders", [("1.jay", "crow"), ("1.jay", "2.jay"), ("2019", "2020"), ("3 mm", "10 mm", "bolt")]
)
def test_other_numbers_are_part_of_the_names(tmp_path, write_files, folders):
    manifest, _ = read(write_files(tmp_path, {f"{name}/1.jpg": "" for name in folders}))
    assert set(manifest.column("class_name").to_pylist()) == set(folders)
