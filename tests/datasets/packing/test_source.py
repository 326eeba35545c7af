import pyarrow as pa
import pytest

from gist_ray.datasets import image_folder
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.datasets.packing.source import rows_file, write_source
from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.schema import MANIFEST
from gist_ray.store import storage

FILES = {
    # "-" and " " come before "/": the order of the paths is not that of the folders
    "classes": [f"{name}/{n}.jpg" for name in ("a", "a-b", "a b", "c") for n in range(11)],
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


def written(config: DataConfig, work: str, images_per_shard: int = 7) -> tuple[pa.Table, list]:
    """All rows, and the errors, of a source."""
    counts = write_source(config, images_per_shard, work, Progress())
    shards = [storage.read_parquet(rows_file(work, n)) for n in range(counts["shards"])]
    assert {len(rows) for rows in shards[:-1]} <= {images_per_shard}
    rows = pa.concat_tables(shards)
    assert counts["images"] == len(rows)
    return rows, storage.read_parquet(storage.join(work, "errors.parquet")).to_pylist()


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

    def stops(root: str, after: str = ""):
        asked.append(after)
        for number, found in enumerate(find(root, after)):
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
    with pytest.raises(UserError, match="has no usable image"):
        written(config, str(tmp_path / "other"))
