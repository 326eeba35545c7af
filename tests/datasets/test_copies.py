"""Folders and tables that hold a picture several times."""

import json
from pathlib import Path

import pytest

from gist_ray.datasets import copies
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import Ingested, ingest
from gist_ray.datasets.overview import about_files
from gist_ray.errors import UserError


def written(root: Path, contents: dict[str, str]) -> str:
    """{path below the folder: its content}"""
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return str(root)


def read(root: str, indices: Path, **values: object) -> Ingested:
    return ingest(DataConfig(layout="image_folder", path=root, **values), str(indices))


def names(found: Ingested) -> set[str]:
    uris = found.manifest.column("uri").to_pylist()
    return {"/".join(uri.rsplit("/", 3)[1:]) for uri in uris}


LEAKING = {
    "train/wren/1.jpg": "one",
    "train/wren/2.jpg": "two",
    "train/wren/copy of 3.jpg": "three",
    "train/wren/4.jpg": "four",
    "train/robin/5.jpg": "five",
    "train/robin/6.jpg": "six!",
    "train/robin/copy of 6.jpg": "six!",
    "train/robin/copy of 4.jpg": "four",
    "test/wren/3.jpg": "three",
    "test/robin/7.jpg": "seven",
    "val/robin/8.jpg": "eight",
}


def test_copies_are_told_with_their_splits_classes_and_names(tmp_path):
    root = written(tmp_path / "in", LEAKING)
    found = read(root, tmp_path / "indices")
    assert len(found.manifest) == 11
    (line,) = [line for line in about_files(found) if line.startswith("equal pictures")]
    assert line == (
        "equal pictures: 3 of 11 pictures are copies, byte for byte, of others, in train and in "
        "test: 1, in several classes: 1 (such as 'test/wren/3.jpg' = 'train/wren/copy of 3.jpg'; "
        "'train/robin/6.jpg' = 'train/robin/copy of 6.jpg'; 'train/robin/copy of 4.jpg' = "
        "'train/wren/4.jpg'); data.duplicates=drop leaves copies out"
    )


def test_drop_keeps_the_picture_in_test_and_nothing_of_what_two_classes_claim(tmp_path):
    root = written(tmp_path / "in", LEAKING)
    found = read(root, tmp_path / "indices", duplicates="drop")
    gone = {"train/wren/copy of 3.jpg", "train/wren/4.jpg", "train/robin/copy of 4.jpg"}
    assert names(found) == {*LEAKING} - gone - {"train/robin/copy of 6.jpg"}
    assert found.left_out == {
        "copies of other pictures": 2,
        "equal pictures of several classes": 2,
    }
    assert not found.notes


def test_error_refuses_the_data_set_and_ignore_does_not_look(tmp_path):
    root = written(tmp_path / "in", LEAKING)
    with pytest.raises(UserError, match=r"3 of 11 pictures are copies.*data\.duplicates=drop"):
        read(root, tmp_path / "indices", duplicates="error")
    assert not read(root, tmp_path / "indices", duplicates="ignore").notes
    alone = {path: path for path in LEAKING}
    assert not read(written(tmp_path / "in", alone), tmp_path / "other", duplicates="error").notes


def test_drawn_splits_keep_equal_pictures_together(tmp_path):
    pairs = {
        f"{name}/{at}{copy}.jpg": f"{name} {at}"
        for name in "ab"
        for at in range(10)
        for copy in ("", " again")
    }
    root = written(tmp_path / "in", pairs)
    for seed in range(3):
        found = read(root, tmp_path / "indices", seed=seed)
        split_of = {}
        for row in found.manifest.to_pylist():
            content = Path(row["uri"]).read_text()
            assert split_of.setdefault(content, row["split"]) == row["split"]
        assert set(split_of.values()) == {"train", "val", "test"}
        assert "in train and" not in " ".join(found.notes)
    ignored = read(root, tmp_path / "indices", duplicates="ignore").manifest.to_pylist()
    splits = {(Path(row["uri"]).read_text(), row["split"]) for row in ignored}
    assert len(splits) > 20


def test_a_table_tells_pictures_that_it_could_not_compare(tmp_path):
    written(tmp_path, {"a.jpg": "one", "b.jpg": "two"})
    rows = [
        {"image": "a.jpg", "class_name": "x", "split": "train"},
        {"image": "b.jpg", "class_name": "y", "split": "train"},
        {"image": "http://localhost:1/c.jpg", "class_name": "x", "split": "test"},
        {"image": "gone.jpg", "class_name": "y", "split": "test"},
    ]
    (tmp_path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = DataConfig(layout="manifest", path=str(tmp_path / "table.jsonl"))
    (line,) = ingest(config, str(tmp_path / "indices")).notes
    assert line.startswith("equal pictures: 2 pictures were not compared")


def test_the_comparison_of_a_large_set_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "FEWEST_KEPT", 11)
    root = written(tmp_path / "in", LEAKING)
    found = read(root, tmp_path / "indices")
    monkeypatch.setattr(copies, "find_equal_pictures", None)
    assert read(root, tmp_path / "indices") == found
    written(tmp_path / "in", {"test/wren/9.jpg": "nine"})
    with pytest.raises(TypeError):
        read(root, tmp_path / "indices")


def test_copies_that_a_list_leaves_out_are_told_no_more(tmp_path):
    root = written(tmp_path / "in", LEAKING)
    rows = read(root, tmp_path / "indices").manifest.to_pylist()
    ids = [row["image_id"] for row in rows if "copy of" in row["uri"]]
    (tmp_path / "exclude.csv").write_text("\n".join(["image_id", *ids]))
    found = read(
        root, tmp_path / "indices", exclude=str(tmp_path / "exclude.csv"), duplicates="error"
    )
    assert not found.notes
    assert found.left_out == {"named in exclude": 3}
