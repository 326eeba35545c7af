import fsspec
import pytest

from benchmarks.stored_ids import GOES_ON, INDEXED, OLDER, PASSES_BEFORE, measure
from gist_ray.store import retry, s3
from tests.conftest import s3_environment


def test_ours_reads_fewer_bytes_than_the_bare_download(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(fsspec.config.conf, "s3", {})
    s3.filesystem().clear_instance_cache()
    files = s3.filesystem()
    retry.patiently(lambda s: files.call_s3("create_bucket", Bucket="stored-ids", timeout=s))
    found = measure("s3://stored-ids/root", num_rows=700, dim=512, rows_per_part=200, rounds=1)
    files.clear_instance_cache()
    assert list(found) == [GOES_ON, INDEXED, OLDER]
    assert [row["ours_requests"] for row in found.values()] == [4, 4, 8]
    assert [row["bare_requests"] for row in found.values()] == [PASSES_BEFORE * 4, 4, 4]
    assert found[GOES_ON]["ours_mib"] == found[INDEXED]["ours_mib"] < found[OLDER]["ours_mib"]
    assert found[OLDER]["ours_mib"] < found[OLDER]["bare_mib"] / 2
