from pathlib import Path

import pytest

from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.encoders.clip import Clip, load_clip
from gist_ray.encoders.config import ClipConfig


@pytest.fixture(scope="session")
def shipped_clip() -> Clip:
    return load_clip(ClipConfig())


@pytest.fixture(scope="session")
def picture_uris(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """40 drawn pictures of 64 pixels."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    rows = corpus_rows(40, seed=5)
    write_pictures(rows, str(folder))
    return corpus_pairs(rows, str(folder)).column("uri").to_pylist()
