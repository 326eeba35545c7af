"""Tables and folders: refused at plan with a sentence, or read with the right error rows."""

import re
from pathlib import Path

import pytest
from PIL import Image

from gist_ray.commands.exits import EXIT_USER_ERROR
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig
from tests.badinput.conftest import SMALL, Grounds, run_job
from tests.badinput.tables import KINDS, DataSet
from tests.datasets.ingesting import ingest


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_data_set(kind: DataSet, grounds: Grounds, tmp_path: Path) -> None:
    for name, content in kind.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    layout = "image_folder" if kind.path == "data" else "manifest"
    words = [
        f"data={layout}",
        f"data.path={tmp_path}/{kind.path}",
        f"root={grounds.path}/root",
        "prompts=generic",
        *SMALL,
        *kind.words,
    ]
    config: RunConfig = build(RunConfig, compose_values("config", words))
    if not kind.says:
        _draw_missing(ingest(config.data)[0].column("uri").to_pylist())
    ended = run_job("--plan", *words)
    assert "Traceback" not in ended.complained
    assert "\x1b" not in ended.complained
    if kind.says:
        assert ended.code == EXIT_USER_ERROR
        assert re.search(kind.says, ended.complained), ended.complained
    else:
        assert (ended.code, ended.complained) == (0, "")
        manifest, errors = ingest(config.data)
        assert manifest.num_rows == kind.num_images
        found = zip(errors["id"].to_pylist(), errors["kind"].to_pylist(), strict=True)
        assert tuple(found) == kind.errors
    assert not (grounds.path / "root").exists()
    grounds.assert_untouched()


def _draw_missing(uris: list[str]) -> None:
    """Writes a picture wherever the data set names one that is not there."""
    for uri in uris:
        path = Path(uri)
        if path.is_absolute() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(path, "PNG")
