import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.images.decode import ImageError, fetch
from gist_ray.images.members import is_member, range_reference, row_reference
from gist_ray.store import storage

MAX = 10**6


def write_cells(uri: str, cells: list[bytes | None], row_group_size: int = 10) -> None:
    table = pa.table(
        {
            "image": [{"bytes": cell, "path": "a.jpg"} for cell in cells],
            "bytes": pa.array(cells, pa.binary()),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=row_group_size,
        compression="none",
        write_page_checksum=True,
        write_statistics=False,
    )
    storage.write_bytes(uri, sink.getvalue().to_pybytes())


def kind_of(uri: str, max_bytes: int = MAX) -> str:
    with pytest.raises(ImageError) as caught:
        fetch(uri, max_bytes)
    return caught.value.kind


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/shards/000012.parquet#37", True),
        ("/data/a.parquet#0:image.bytes", True),
        ("/data/a.tar#512+100", True),
        ("/data/a.jpg", False),
        ("/data/pictures #3.jpg", False),
        ("/data/no.parquet#3.jpg", False),
        ("/data/a.parquet", False),
        ("/data/a.parquet#", False),
        ("/data/a.tar#12", False),
        ("/data/a.tar.gz#1+2", False),
    ],
)
def test_only_rows_of_parquet_and_ranges_of_tar_are_members(uri, expected):
    assert is_member(uri) is expected


def test_rows_of_any_row_group_and_column(tmp_path):
    cells: list[bytes | None] = [b"picture %d" % number for number in range(25)]
    write_cells(f"{tmp_path}/a#1 b.parquet", cells)
    for row in (0, 9, 10, 24):
        for column in ("bytes", "image.bytes"):
            assert fetch(row_reference(f"{tmp_path}/a#1 b.parquet", row, column), MAX) == cells[row]


def test_what_a_parquet_file_does_not_hold_has_its_kind(tmp_path):
    file = f"{tmp_path}/a.parquet"
    write_cells(file, [b"0123456789", None, b""])
    assert kind_of(row_reference(file, 3)) == "missing"
    assert kind_of(row_reference(file, 0, "nothing")) == "missing"
    assert kind_of(row_reference(file, 0), max_bytes=9) == "too_large"
    assert kind_of(row_reference(file, 1)) == "empty"
    assert kind_of(row_reference(file, 2)) == "empty"
    assert kind_of(row_reference(f"{tmp_path}/none.parquet", 0)) == "missing"
    storage.write_bytes(f"{tmp_path}/text.parquet", b"PAR1 but not really")
    assert kind_of(row_reference(f"{tmp_path}/text.parquet", 0)) == "corrupt"


def test_a_flipped_bit_is_noticed(tmp_path):
    file = tmp_path / "a.parquet"
    write_cells(str(file), [b"many of the same letters" * 9])
    data = bytearray(file.read_bytes())
    data[data.rindex(b"letters")] ^= 1
    file.write_bytes(data)
    assert kind_of(row_reference(str(file), 0)) == "corrupt"


def test_ranges_of_a_tar(tmp_path):
    file = f"{tmp_path}/a.tar"
    storage.write_bytes(file, b"0123456789")
    assert fetch(range_reference(file, 3, 4), MAX) == b"3456"
    assert kind_of(range_reference(file, 8, 4)) == "corrupt"
    assert kind_of(range_reference(file, 0, 5), max_bytes=4) == "too_large"
    assert kind_of(range_reference(file, 0, 0)) == "empty"
    assert kind_of(range_reference(f"{tmp_path}/none.tar", 0, 5)) == "missing"


def test_rows_in_their_order_take_one_request_for_each_row_group(s3_environment, caplog):
    file = "s3://packs/members/a.parquet"
    write_cells(file, [b"x" * 100_000] * 60, row_group_size=10)
    caplog.clear()
    with caplog.at_level("INFO", "werkzeug"):
        for row in range(60):
            assert len(fetch(row_reference(file, row), MAX)) == 100_000
    answered = [record.getMessage() for record in caplog.records if record.name == "werkzeug"]
    # its size and its footer once, then a row group each
    assert sum("HEAD /packs/members" in line for line in answered) == 1
    assert sum("GET /packs/members" in line for line in answered) == 1 + 6
