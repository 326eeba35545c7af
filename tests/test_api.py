"""`import gist_ray`: what it gives, and what it does not load."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gist_ray as gr


def test_importing_loads_nothing_heavy() -> None:
    program = "import sys, gist_ray; print(*sys.modules)"
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=here, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "gist_ray" in loaded
    assert not loaded & {"torch", "ray", "pandas", "numpy", "pyarrow", "pydantic", "yaml"}


def test_run_is_called_and_is_the_folder_of_its_modules() -> None:
    import gist_ray.run.flow as flow

    assert gr.run.flow is flow
    assert callable(gr.run)


def test_names_are_found_when_they_are_used() -> None:
    from gist_ray.errors import UserError
    from gist_ray.predict.folder import load_classifier
    from gist_ray.run.flow import TooManyFailedRowsError

    assert gr.load_classifier is load_classifier
    assert gr.UserError is UserError
    assert gr.TooManyFailedRowsError is TooManyFailedRowsError
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        gr.nosuch  # noqa: B018
