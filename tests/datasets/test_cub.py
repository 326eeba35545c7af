import json

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

CLASSES = ["001.Black_footed_Albatross", "002.Ovenbird", "003.Ovenbird"]


def cub_files() -> dict[str, str]:
    """Three classes of six images; odd image ids are train, so are all of class 3."""
    images = [(n, n // 6) for n in range(18)]
    paths = [f"{CLASSES[c]}/It's_{n:04d} x.jpg" for n, c in images]
    train = [n % 2 == 0 or c == 2 for n, c in images]
    return {
        "images.txt": "".join(f"{n + 1} {paths[n]}\n" for n, _ in images),
        "image_class_labels.txt": "".join(f"{n + 1} {c + 1}\n" for n, c in images),
        "train_test_split.txt": "".join(f"{n + 1} {int(train[n])}\n" for n, _ in images),
        "classes.txt": "".join(f"{c + 1} {name}\n" for c, name in enumerate(CLASSES)),
        "bounding_boxes.txt": "1 60.0 27.0 325.0 304.5\n",
        **{f"images/{path}": "" for path in paths},
    }


def read(root: str, **values: object):
    return ingest(DataConfig(layout="cub", path=root, **values))[0]


@pytest.mark.parametrize("folder", ["", "CUB_200_2011/"])
def test_ids_are_one_based_and_paths_under_images(folder, tmp_path, write_files):
    files = {folder + path: text for path, text in cub_files().items()}
    rows = read(write_files(tmp_path, files)).to_pylist()
    assert rows[0]["uri"] == f"{tmp_path}/{folder}images/{CLASSES[0]}/It's_0000 x.jpg"
    assert [row["label"] for row in rows] == [0] * 6 + [1] * 6 + [2] * 6
    assert json.loads(rows[0]["attributes"]) == {
        "id": "1",
        "bounding_box_xywh": [60.0, 27.0, 325.0, 304.5],
    }
    assert [row["split"] for row in rows[1:12:2]] == ["test"] * 6


def test_names_lose_number_and_underscores_and_equal_names_stay_distinct(tmp_path, write_files):
    manifest = read(write_files(tmp_path, cub_files()))
    names = dict(
        zip(*(manifest.column(c).to_pylist() for c in ("label", "class_name")), strict=True)
    )
    assert names == {0: "Black footed Albatross", 1: "Ovenbird", 2: "Ovenbird"}


@pytest.mark.parametrize("key", ["001.Black_footed_Albatross", "1"])
def test_display_names_by_folder_or_id(key, tmp_path, write_files):
    names = json.dumps({key: "black-footed albatross"})
    root = write_files(tmp_path, cub_files() | {"names.json": names})
    manifest = read(root, class_names=f"{root}/names.json")
    assert manifest.column("class_name")[0].as_py() == "black-footed albatross"


def test_val_is_three_per_class_from_official_train_by_seed(tmp_path, write_files):
    root = write_files(tmp_path, cub_files())
    manifest = read(root)
    splits = manifest.column("split").to_pylist()
    assert [splits[i : i + 6].count("val") for i in (0, 6, 12)] == [2, 2, 3]
    assert [splits[i : i + 6].count("train") for i in (0, 6, 12)] == [1, 1, 3]
    assert read(root) == manifest
    assert read(root, seed=1).column("split") != manifest.column("split")
    assert "val" not in read(root, val_per_class=0).column("split").to_pylist()


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "images.txt",
            "3 001.Black_footed_Albatross/It's_0002 ",
            "3_",
            r"images.txt, line 3: '3_x.jpg' is not",
        ),
        ("images.txt", "4 001.", "3 001.", r"images.txt, line 4: id 3 was already given in line 3"),
        ("image_class_labels.txt", "5 1\n", "5 0\n", r"labels.txt, line 5: class '0' is not in"),
        ("image_class_labels.txt", "5 1\n", "", r"images.txt, line 5: image 5 is not in image_cl"),
        (
            "train_test_split.txt",
            "\n6 0",
            "\n6 2",
            r"split.txt, line 6: '2' is neither 1 \(train\)",
        ),
        ("train_test_split.txt", "\n6 0", "", r"image 6 is not in train_test_split.txt"),
        ("classes.txt", "1 001", "0 001", r"classes.txt, line 1: class id '0' is not one of 1..3"),
        ("bounding_boxes.txt", "60.0", "sixty", r"boxes.txt, line 1: .*is not x y width height"),
    ],
)
def test_broken_line_is_named(file, old, new, message, tmp_path, write_files):
    files = cub_files()
    assert old in files[file]
    files[file] = files[file].replace(old, new, 1)
    with pytest.raises(UserError, match=message):
        read(write_files(tmp_path, files))


def test_all_missing_files_are_named_at_once(tmp_path):
    with pytest.raises(UserError) as caught:
        read(str(tmp_path))
    assert len(caught.value.problems) == 5
    assert "images: the folder with the pictures is not there" in caught.value.problems[0]
