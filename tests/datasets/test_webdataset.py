import io
import json
import os
import tarfile
from collections import Counter

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from gist_ray.images.decode import fetch
from gist_ray.schema import stable_id
from gist_ray.store import storage
from tests.datasets.ingesting import ingest


def tar_of(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def samples(first: int, count: int) -> dict[str, str]:
    """Pictures of two classes by name."""
    found = {}
    for number in range(first, first + count):
        found[f"{number:04d}.jpg"] = f"picture {number}"
        found[f"{number:04d}.cls"] = "ab"[number % 2]
    return found


def read(path: object, **values: object):
    return ingest(DataConfig(layout="webdataset", path=str(path), **values), f"{path}.indices")


@pytest.mark.parametrize("root", ["local", "memory://webdataset"])
@pytest.mark.parametrize("pattern", ["", "/s-{000..001}.tar", "/s-*.tar", "/s-{000,001}.tar"])
def test_samples_are_rows_and_pictures_are_read_from_the_tar(pattern, root, tmp_path, write_files):
    root = str(tmp_path) if root == "local" else root
    files = {"s-000.tar": tar_of(samples(0, 10)), "s-001.tar": tar_of(samples(10, 10))}
    manifest, errors = read(write_files(root, files) + pattern)
    assert errors.num_rows == 0
    assert (
        Counter(zip(*(manifest[c].to_pylist() for c in ("class_name", "split")), strict=True))[
            "a", "train"
        ]
        == 7
    )
    rows = manifest.to_pylist()
    for number, row in enumerate(rows):
        assert fetch(row["uri"], 1000) == f"picture {number}".encode()
        assert row["class_name"] == "ab"[number % 2]
    assert rows[12]["image_id"] == stable_id("s-001.tar/0012.jpg")


def test_fields_of_json_and_text_go_by_the_column_settings(tmp_path, write_files):
    members = {
        "x/1.jpg": "1",
        "x/1.json": json.dumps({"species": "7", "name": "Ant", "fold": "test", "age": 3}),
        "x/1.txt": "an ant\n",
        "x/2.PNG": "2",
        "x/2.json": json.dumps({"species": 7, "name": "Ant", "fold": "train"}),
    }
    write_files(tmp_path, {"a.tar": tar_of(members)})
    manifest, _ = read(
        tmp_path / "a.tar", label_column="species", class_column="name", split_column="fold"
    )
    assert [(r["class_name"], r["split"]) for r in manifest.to_pylist()] == [
        ("Ant", "test"),
        ("Ant", "train"),
    ]
    attributes = json.loads(manifest.column("attributes")[0].as_py())
    assert attributes == {"age": 3, "txt": "an ant", "species": "7"}


def test_splits_come_from_the_names_of_the_tars(tmp_path, write_files):
    write_files(
        tmp_path,
        {
            "train-000.tar": tar_of(samples(0, 4)),
            "val/000.tar": tar_of(samples(4, 2)),
            "test-000.tar": tar_of(samples(6, 2)),
        },
    )
    manifest, _ = read(tmp_path)
    assert Counter(manifest.column("split").to_pylist()) == {"train": 4, "val": 2, "test": 2}


def test_bad_samples_are_named_by_tar_and_key_and_the_others_go_on(tmp_path, write_files):
    members: dict[str, str | bytes] = {
        **samples(0, 4),
        "two.jpg": "x",
        "two.png": "y",
        "none.cls": "a",
        "json.jpg": "x",
        "json.json": "[1",
        "unlabelled.jpg": "x",
        "bytes.jpg": "x",
        "bytes.cls": b"\xff",
    }
    write_files(tmp_path, {"a.tar": tar_of(members), "b.tar": tar_of(samples(9, 2))})
    manifest, errors = read(tmp_path)
    assert manifest.num_rows == 6
    found = {row["id"]: (row["kind"], row["message"]) for row in errors.to_pylist()}
    assert {name: kind for name, (kind, _) in found.items()} == {
        "a.tar/two.jpg": "bad_member",
        "a.tar/two.png": "bad_member",
        "a.tar/none": "bad_member",
        "a.tar/json": "bad_member",
        "a.tar/bytes": "bad_member",
        "a.tar/unlabelled.jpg": "missing",
    }
    of_two = found["a.tar/two.jpg"][1]
    assert f"{tmp_path}/a.tar, key 'two': has 2 images, 'two.jpg', 'two.png', and" in of_two
    assert "before the first dot of a name is its sample" in of_two


def test_a_sample_that_is_lost_weighs_as_many_rows_as_it_holds_pictures(tmp_path, write_files):
    """Dates with dots in the names of pictures: a day is one sample."""
    dotted = {f"2024.05.{day:02}_jay.jpg": "x" for day in range(1, 31)}
    write_files(tmp_path, {"a.tar": tar_of({**samples(0, 6), **dotted})})
    manifest, errors = read(tmp_path)
    assert manifest.num_rows == 6
    assert len(errors) == 30


def test_names_that_lead_out_and_links_touch_nothing(tmp_path, write_files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("../../up.jpg", "/etc/abs.jpg", "x/\n#1+2.jpg"):
            data = name.encode()
            for ending, content in (("jpg", data), ("cls", b"a")):
                info = tarfile.TarInfo(name.removesuffix("jpg") + ending)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    write_files(tmp_path, {"in/a.tar": buffer.getvalue()})
    before = set(os.listdir(tmp_path))
    manifest, errors = read(tmp_path / "in" / "a.tar")
    assert [fetch(uri, 1000) for uri in manifest.column("uri").to_pylist()] == [
        b"../../up.jpg",
        b"/etc/abs.jpg",
        b"x/\n#1+2.jpg",
    ]
    assert [(row["id"], row["kind"]) for row in errors.to_pylist()] == [
        ("a.tar/link", "bad_member")
    ]
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("damage", ["cut", "header", "gzip"])
def test_a_damaged_tar_is_an_error_row_and_what_stands_before_is_used(
    damage, tmp_path, write_files
):
    data = bytearray(tar_of(samples(0, 6)))
    if damage == "cut":
        data = data[: 512 * 18 + 100]
    elif damage == "header":
        data[512 * 16 : 512 * 17] = b"x" * 512
    else:
        data = bytearray(b"\x1f\x8b" + bytes(1000))
    write_files(tmp_path, {"a.tar": bytes(data), "b.tar": tar_of(samples(9, 2))})
    manifest, errors = read(tmp_path)
    assert manifest.num_rows == (2 if damage == "gzip" else 6)
    assert ("a.tar", "corrupt") in [(row["id"], row["kind"]) for row in errors.to_pylist()]


def test_a_tar_is_read_once_until_it_changes(tmp_path, write_files, monkeypatch):
    from gist_ray.datasets import webdataset

    read_tars = []
    index = webdataset.index_tar
    monkeypatch.setattr(webdataset, "index_tar", lambda uri: (read_tars.append(uri), index(uri))[1])
    write_files(tmp_path / "d", {"a.tar": tar_of(samples(0, 4)), "b.tar": tar_of(samples(4, 4))})
    first, _ = read(tmp_path / "d")
    assert read(tmp_path / "d")[0] == first
    assert len(read_tars) == 2
    write_files(tmp_path / "d", {"b.tar": tar_of(samples(4, 6))})
    assert read(tmp_path / "d")[0].num_rows == 10
    assert len(read_tars) == 3


def test_paths_that_stand_for_nothing_are_named(tmp_path):
    storage.write_bytes(f"{tmp_path}/a-0.tar", tar_of(samples(0, 2)))
    with pytest.raises(UserError, match=r"a-1.tar: this file of the data set is not there"):
        read(tmp_path / "a-{0..1}.tar")
    with pytest.raises(UserError, match=r"b-\*.tar: there are no .tar files"):
        read(tmp_path / "b-*.tar")
    with pytest.raises(UserError, match=r"the data set is not there"):
        read(tmp_path / "nowhere")
