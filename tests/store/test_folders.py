import os
from pathlib import Path

from gist_ray.store import folders


def test_what_killed_processes_had_begun_to_write_is_told_from_what_is_being_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "parts").mkdir()
    for name in ("whole.parquet", "dead.parquet.1.tmp", "alive.parquet.2.tmp"):
        (tmp_path / "parts" / name).touch()
    for name in ("whole.parquet", "dead.parquet.1.tmp"):
        os.utime(tmp_path / "parts" / name, (0, 0))
    assert folders.abandoned_files(str(tmp_path)) == [tmp_path / "parts" / "dead.parquet.1.tmp"]
