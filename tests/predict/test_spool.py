import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from gist_ray.predict.spool import Spool


def test_tables_come_back_in_any_order_and_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tables = [pa.table({"n": list(range(n)), "s": [str(n)] * n}) for n in (3, 0, 1000, 1)]
    spool = Spool()
    reads = [spool.keep(one) for one in tables]
    # no name that would have to be deleted
    assert list(tmp_path.iterdir()) == []
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda n: reads[n % 4](), reversed(range(40))))
    assert found == [tables[n % 4] for n in reversed(range(40))]


def test_tables_outlive_the_spool_itself() -> None:
    read = Spool().keep(pa.table({"n": [1]}))
    assert read().num_rows == 1
