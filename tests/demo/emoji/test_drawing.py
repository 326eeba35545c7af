import numpy as np
import pytest

from gist_ray.demo.emoji.catalogue import picture_files
from gist_ray.demo.emoji.drawing import draw


@pytest.mark.parametrize("vendor", ["openmoji", "google"])
def test_vectors_and_pixels_lie_on_white(tiny_packages, vendor):
    """A square of half the width in the middle of nothing."""
    file = picture_files(tiny_packages)[vendor]["1f405"]
    pixels = np.asarray(draw(file, 32))
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:4] == 255).all()
    red = {"openmoji": 0, "google": 60}[vendor]
    assert abs(pixels[16, 16].astype(int) - [red, 25, 230]).max() <= 1
