import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gist_ray.datasets.equal_pictures import find_equal_pictures
from gist_ray.images.members import range_reference, row_reference
from gist_ray.store import storage


def noise(seed: int, num_bytes: int = 20_000) -> bytes:
    return random.Random(seed).randbytes(num_bytes)


def written(folder: Path, contents: list[bytes]) -> list[str]:
    for at, content in enumerate(contents):
        (folder / f"{at}.jpg").write_bytes(content)
    return [str(folder / f"{at}.jpg") for at in range(len(contents))]


def test_only_files_that_are_equal_to_the_last_byte_are_copies(tmp_path):
    one = noise(1)
    contents = [
        one,
        one[:-1] + bytes([one[-1] ^ 1]),  # the same size and the same middle
        noise(2),  # the same size
        one,
        noise(3, 777),
        one,
        noise(2),
    ]
    found = find_equal_pictures(written(tmp_path, contents), most_reads=0)
    assert found.first.tolist() == [0, 1, 2, 0, 4, 0, 2]
    assert found.is_copy.tolist() == [False, False, False, True, False, True, True]
    assert found.num_not_compared == 0


def test_files_that_are_missing_or_empty_are_nobodys_copies(tmp_path):
    uris = written(tmp_path, [b"", b"", noise(1)])
    uris += [str(tmp_path / "nowhere.jpg"), str(tmp_path / "nowhere.jpg"), "http://host/a.jpg"]
    found = find_equal_pictures(uris, most_reads=None)
    assert found.first.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.num_not_compared == 3


def test_files_of_sizes_of_their_own_are_not_read(tmp_path, monkeypatch):
    def read(*arguments: object, **options: object) -> bytes:
        raise AssertionError("a file was read")

    monkeypatch.setattr(storage, "read_range", read)
    monkeypatch.setattr(storage, "read_bytes", read)
    uris = written(tmp_path, [noise(at, 100 + at) for at in range(20)])
    assert find_equal_pictures(uris, most_reads=None).first.tolist() == list(range(20))


def test_members_of_tars_and_rows_of_parquet_are_compared(tmp_path):
    one, other = noise(1, 100), noise(2, 100)
    (tmp_path / "a.tar").write_bytes(one + other + one)
    tar = str(tmp_path / "a.tar")
    members = [range_reference(tar, at, 100) for at in (0, 100, 200)]
    assert find_equal_pictures(members, most_reads=0).first.tolist() == [0, 1, 0]

    table = pa.table({"bytes": [one, other, None, one, None]})
    pq.write_table(table, tmp_path / "b.parquet", row_group_size=2)
    rows = [row_reference(str(tmp_path / "b.parquet"), row) for row in range(5)]
    found = find_equal_pictures(rows, most_reads=5)
    assert found.first.tolist() == [0, 1, 2, 0, 4]
    assert found.num_not_compared == 2
    # too many to read where nobody asked for it
    found = find_equal_pictures(rows, most_reads=4)
    assert found.first.tolist() == [0, 1, 2, 3, 4]
    assert found.num_not_compared == 5
