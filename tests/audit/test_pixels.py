import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from gist_ray.audit.pixels import grey, likeness
from tests.audit.drawn import scene

ENOUGH = 0.95


def encoded(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


CHANGES = {
    "JPEG": ("same", lambda image: encoded(image, 30)),
    "smaller": ("same", lambda image: image.resize((80, 60))),
    "brighter": ("same", lambda image: image.point(lambda value: value // 2 + 40)),
    "mirrored": ("mirrored", lambda image: encoded(ImageOps.mirror(image), 80)),
    "crop": ("crop", lambda image: image.crop((20, 10, 140, 100))),
    "crop of another shape": ("crop", lambda image: image.crop((30, 0, 140, 120))),
    "mirrored crop": ("crop", lambda image: ImageOps.mirror(image).crop((0, 20, 130, 110))),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_changed_copy_is_found_from_either_side(change: str, seed: int) -> None:
    kind, apply = CHANGES[change]
    picture, copy = grey(scene(seed)), grey(apply(scene(seed)))
    for found in (likeness(picture, copy, ENOUGH), likeness(copy, picture, ENOUGH)):
        assert found.correlation >= ENOUGH
        assert found.kind == kind


def test_other_pictures_are_no_copies() -> None:
    pictures = [grey(scene(seed)) for seed in range(8)]
    found = [likeness(a, b, ENOUGH).correlation for a in pictures[:4] for b in pictures[4:]]
    assert max(found) < 0.9


def test_pictures_of_one_grey_have_nothing_to_compare() -> None:
    white = np.full((48, 64), 255, np.float32)
    assert likeness(white, white, ENOUGH).correlation == 0
