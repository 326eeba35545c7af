"""How a command ends when something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from gist_ray.commands.exits import exit_codes
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.schema import ERRORS, table
from gist_ray.store.artifacts import ArtifactStore


def test_too_many_failed_rows_exit_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    writer = ArtifactStore(str(tmp_path)).writer("embeddings", "embed", {}, inputs={})
    error = {"id": "a", "uri": "", "stage": "embed", "kind": "corrupt", "message": ""}
    writer.add_errors(table([error], ERRORS))
    artifact = writer.publish(0)
    with pytest.raises(SystemExit) as stopped, exit_codes():
        raise TooManyFailedRowsError("embed images", artifact, 0.01)
    assert stopped.value.code == 1
    assert "embed images: 1 of 1 rows failed (corrupt: 1); 1.0% are" in capsys.readouterr().err


def test_a_crash_keeps_its_trace() -> None:
    with pytest.raises(ZeroDivisionError), exit_codes():
        raise ZeroDivisionError


def test_ctrl_c_ends_without_a_trace_though_a_thread_still_works() -> None:
    program = """
import concurrent.futures, time
from gist_ray.commands.exits import exit_codes

with exit_codes():
    concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 600)
    raise KeyboardInterrupt
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 130
    assert "goes on from what is stored" in ended.stderr
    assert "Traceback" not in ended.stderr
