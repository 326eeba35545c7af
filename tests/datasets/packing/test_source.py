import pyarrow as pa
import pytest

from gist_ray.datasets import image_folder
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.source import rows_part, write_rows
from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.schema import MANIFEST
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from tests.datasets.ingesting import ingest

FILES = {
    # "-" and " " come before "/": the order of the paths is not that of the folders
    "classes": [f"{name}/{n}.jpg" for name in ("a", "a-b", "a d", "c") for n in range(11)],
    "splits": [
        f"{split}/{name}/deep/{n}.jpg"
        for split in ("Train", "test")
        for name in ("a", "a-b", "c")
        for n in range(9)
    ],
    "all splits": [
        f"{s}/{c}/{n}.jpg" for s in ("train", "valid", "test") for c in "ab" for n in "12"
    ],
    "two names for train": [f"{s}/a/{s}{n}.jpg" for s in ("Train", "train") for n in range(9)],
}


def folder(root: str, files: list[str], **values: object) -> DataConfig:
    for path in [*files, "stray.jpg", "notes.txt"]:
        storage.write_bytes(storage.join(root, path), b"")
    return DataConfig(layout="image_folder", path=root, **values)


def artifact_of(config: DataConfig, work: str) -> Artifact:
    writer = ArtifactWriter(work, "packing_rows", "read rows", identity={}, inputs={})
    write_rows(PackConfig(out="nowhere", data=config, images_per_shard=7), writer, Progress())
    return writer.publish(0)


def written(config: DataConfig, work: str) -> tuple[pa.Table, list]:
    """All rows, and the errors, of a source."""
    artifact = artifact_of(config, work)
    parts = artifact.info["parts"]
    assert [part["file"] for part in parts] == [rows_part(f"{n:06d}") for n in range(len(parts))]
    assert {part["rows"] for part in parts[:-1]} <= {7}
    return artifact.read(), artifact.read_errors().to_pylist()


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
@pytest.mark.parametrize("root", ["local", "memory://write_source"])
def test_rows_are_those_of_the_pipeline(files, root, tmp_path, monkeypatch):
    # so that classes begin in one chunk and end in another
    monkeypatch.setattr(image_folder, "PATHS_PER_CHUNK", 5)
    root = str(tmp_path / "in") if root == "local" else f"{root}/{len(files)}{files[0]}"
    config = folder(root, files, seed=3)
    manifest, errors = ingest(config)
    rows, found = written(config, str(tmp_path / "work"))
    assert rows.select(MANIFEST.names).cast(MANIFEST) == manifest
    assert rows.column("name").to_pylist() == sorted(files)
    assert [row["id"] for row in found] == errors.column("id").to_pylist() == ["stray.jpg"]


def test_rows_of_a_table(tmp_path):
    (tmp_path / "m.csv").write_text("image,label\n" + "".join(f"{n}.jpg,a\n" for n in range(20)))
    config = DataConfig(layout="manifest", path=f"{tmp_path}/m.csv")
    rows, _ = written(config, str(tmp_path / "work"))
    assert rows.select(MANIFEST.names).cast(MANIFEST) == ingest(config)[0]
    assert rows.column("name")[3].as_py() == "3.jpg"


def test_a_listing_goes_on_behind_the_last_name_that_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(image_folder, "PATHS_PER_CHUNK", 5)
    config = folder(str(tmp_path / "in"), FILES["classes"])
    expected, _ = written(config, str(tmp_path / "whole"))
    asked: list[str] = []
    find = image_folder.find_pictures

    def stops(root: str, after: str = "", **how: object):
        asked.append(after)
        for number, found in enumerate(find(root, after, **how)):
            if len(asked) == 1 and number == 3:
                raise ConnectionError("the machine went away")
            yield found

    monkeypatch.setattr("gist_ray.datasets.packing.source.find_pictures", stops)
    with pytest.raises(ConnectionError):
        written(config, str(tmp_path / "work"))
    rows, _ = written(config, str(tmp_path / "work"))
    assert asked == ["", sorted(FILES["classes"])[14]]
    assert rows == expected


def test_problems_are_those_of_the_pipeline(tmp_path):
    config = folder(str(tmp_path / "in"), ["train/a/1.jpg", "test/b/1.jpg"])
    with pytest.raises(UserError, match="'b' have images in val or test but none in train"):
        written(config, str(tmp_path / "work"))
    config = folder(str(tmp_path / "none"), [])
    with pytest.raises(UserError, match="none in a class folder"):
        written(config, str(tmp_path / "other"))


def test_a_data_set_that_was_mended_is_listed_anew(tmp_path):
    config = folder(str(tmp_path / "in"), ["train/a/1.jpg", "test/b/1.jpg"])
    with pytest.raises(UserError, match="none in train"):
        written(config, str(tmp_path / "work"))
    storage.write_bytes(f"{tmp_path}/in/train/b/1.jpg", b"")
    rows, _ = written(config, str(tmp_path / "work"))
    assert rows.column("name").to_pylist() == ["test/b/1.jpg", "train/a/1.jpg", "train/b/1.jpg"]


def test_what_is_needed_only_while_it_is_read_goes(tmp_path):
    artifact_of(folder(str(tmp_path / "in"), FILES["classes"]), str(tmp_path / "work"))
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [
        "artifact.json",
        "errors.parquet",
        "rows",
    ]
