import hashlib

import numpy as np
import pytest
from PIL import Image

from gist_ray.audit.config import ChecksConfig
from gist_ray.audit.looks import faults_of, look_at
from tests.audit.drawn import looks, scene

NOISE = np.random.default_rng(0).normal(0, 6, (150, 200, 3))


def grey(value: int, width: int = 200, height: int = 150) -> Image.Image:
    return Image.new("RGB", (width, height), (value,) * 3)


@pytest.mark.parametrize(
    ("picture", "faults"),
    [
        (grey(255), ["blank"]),
        (grey(0), ["blank"]),
        (Image.fromarray(np.clip(200 + NOISE, 0, 255).astype(np.uint8)), ["blank"]),
        (scene(1).point(lambda value: value // 16), ["dark"]),
        (scene(1, 200, 24), ["tiny", "odd_shape"]),
        (scene(1, 31, 31), ["tiny"]),
        (scene(1, 500, 100), ["odd_shape"]),
        (scene(1), []),
    ],
)
def test_faults_of_a_picture(picture: Image.Image, faults: list[str]) -> None:
    row = look_at(picture, b"bytes")
    assert row["content"] == hashlib.sha256(b"bytes").hexdigest()
    found = faults_of(looks(row), ChecksConfig()).to_pylist()
    assert [one["faults"] for one in found] == ([faults] if faults else [])


def test_a_narrow_picture_of_three_pixels() -> None:
    [found] = faults_of(looks({"width": 3, "height": 200}), ChecksConfig()).to_pylist()
    assert found["faults"] == ["tiny", "odd_shape"]


def test_limits_are_settings() -> None:
    checks = ChecksConfig(min_side_px=300, max_aspect_ratio=1.2, min_contrast=0.9)
    [found] = faults_of(looks({}), checks).to_pylist()
    assert found["faults"] == ["blank", "tiny", "odd_shape"]
