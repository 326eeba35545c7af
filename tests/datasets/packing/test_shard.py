import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.shard import ROWS, SHARD, pack_shard
from gist_ray.schema import table

FOLDER = DataConfig(layout="image_folder", path="x")


def config(**values: object) -> PackConfig:
    return PackConfig(out="x", data=FOLDER, **values)


def rows_of(files: dict[str, bytes], folder: Path) -> pa.Table:
    rows = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        image = {"image_id": f"id of {name}", "uri": f"{folder}/{name}", "name": f"a/{name}"}
        rows.append({**image, "label": 0, "class_name": "a", "split": "train", "attributes": "{}"})
    return table(rows, ROWS)


def picture(size: tuple[int, int], form: str = "JPEG", **options: object) -> bytes:
    noise = Image.frombytes("RGB", size, random.Random(0).randbytes(3 * size[0] * size[1]))
    buffer = io.BytesIO()
    noise.save(buffer, form, **options)
    return buffer.getvalue()


def test_bytes_stay_as_they_are_in_the_order_of_the_rows(tmp_path):
    files = {f"{number}.jpg": bytes([number]) * 1000 for number in range(50, 0, -1)}
    uri = f"{tmp_path}/shards/000000.parquet"
    found = pack_shard(rows_of(files, tmp_path), uri, config(row_group_mib=8000 / 2**20))
    assert found[:2] == (50, 50_000)
    assert found[2].num_rows == 0
    packed = pq.ParquetFile(uri)
    assert packed.schema_arrow == SHARD
    assert packed.read().column("bytes").to_pylist() == list(files.values())
    assert packed.read().column("name").to_pylist() == [f"a/{name}" for name in files]
    assert packed.read().column("size").to_pylist() == [1000] * 50
    # no more than 8,000 bytes together
    groups = [packed.metadata.row_group(n).num_rows for n in range(packed.num_row_groups)]
    assert groups == [8] * 6 + [2]


def test_bad_images_have_their_kind_and_the_others_go_on(tmp_path):
    files = {"ok.jpg": b"12", "empty.jpg": b"", "large.jpg": b"x" * 2000, "fine.jpg": b"34"}
    rows = rows_of(files, tmp_path)
    (tmp_path / "ok.jpg").unlink()
    num_images, num_bytes, errors = pack_shard(
        rows, f"{tmp_path}/s.parquet", config(max_image_mib=1000 / 2**20)
    )
    assert (num_images, num_bytes) == (1, 2)
    assert [(row["id"], row["kind"]) for row in errors.to_pylist()] == [
        ("id of ok.jpg", "missing"),
        ("id of empty.jpg", "empty"),
        ("id of large.jpg", "too_large"),
    ]


def test_a_shard_without_images_is_no_file(tmp_path):
    num_images, _, errors = pack_shard(
        rows_of({"a.jpg": b""}, tmp_path), f"{tmp_path}/s.parquet", config()
    )
    assert num_images == 0
    assert errors.num_rows == 1
    assert not (tmp_path / "s.parquet").exists()


@pytest.mark.parametrize(("encode_as", "form"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_encoded_again_upright_and_bounded_but_never_enlarged(encode_as, form, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    files = {
        "wide.png": picture((300, 150), "PNG"),
        "turned.jpg": picture((300, 150), exif=exif),
        "small.jpg": picture((20, 30)),
        "broken.jpg": picture((300, 150))[:200],
    }
    uri = f"{tmp_path}/s.parquet"
    shrink = config(max_side_px=100, encode_as=encode_as, quality=80)
    num_images, _, errors = pack_shard(rows_of(files, tmp_path), uri, shrink)
    assert num_images == 3
    assert [row["kind"] for row in errors.to_pylist()] == ["corrupt"]
    images = [Image.open(io.BytesIO(d)) for d in pq.read_table(uri).column("bytes").to_pylist()]
    assert {image.format for image in images} == {form}
    assert [image.size for image in images] == [(100, 50), (50, 100), (20, 30)]


def test_the_same_rows_give_the_same_file(tmp_path):
    rows = rows_of({f"{n}.jpg": picture((40, 30 + n)) for n in range(20)}, tmp_path)
    for name in ("one", "two"):
        pack_shard(rows, f"{tmp_path}/{name}", config(max_side_px=24))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
