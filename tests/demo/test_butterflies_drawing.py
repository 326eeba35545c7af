import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gist_ray.demo.butterflies import attributes as vocabulary
from gist_ray.demo.butterflies.attributes import COLOURS, WING_COLOURS, Attributes
from gist_ray.demo.butterflies.drawing import draw
from gist_ray.demo.butterflies.pictures import draw_row

LARGE_RED = Attributes(
    forewing="red",
    hindwing="red",
    pattern="spots",
    pattern_colour="white",
    border="black",
    body="brown",
    tail="short",
    shape="rounded",
    antennae="thin",
    size="large",
)


def nearest_colour(pixels: np.ndarray) -> str:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def shown_colour(attributes: Attributes, part: str, other: str, seed: int) -> str:
    """The named colour nearest to the region that changes when `part` gets another colour."""
    picture = draw(attributes, seed).astype(int)
    repainted = draw(replace(attributes, **{part: other}), seed).astype(int)
    region = np.abs(picture - repainted).sum(axis=-1) > 60
    assert region.sum() > 20
    return nearest_colour(picture[region])


def test_a_seed_decides_the_picture() -> None:
    first, again, other = draw(LARGE_RED, 1), draw(LARGE_RED, 1), draw(LARGE_RED, 2)
    assert first.dtype == np.uint8
    assert first.shape == (64, 64, 3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 5


@pytest.mark.parametrize("part", ["forewing", "pattern_colour", "border"])
def test_a_part_shows_its_colour(part: str) -> None:
    colours = vocabulary.BORDERS[1:] if part == "border" else WING_COLOURS
    right = []
    for colour in colours:
        butterfly = replace(LARGE_RED, pattern="band", **{part: colour})
        other = "green" if colour in ("black", "brown", "red") else "black"
        right += [shown_colour(butterfly, part, other, seed) == colour for seed in range(8)]
    assert np.mean(right) > 0.7


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("pattern", vocabulary.PATTERNS),
        ("border", vocabulary.BORDERS),
        ("body", vocabulary.BODY_COLOURS),
        ("tail", vocabulary.TAILS),
        ("shape", vocabulary.SHAPES),
        ("antennae", vocabulary.ANTENNAE),
        ("size", vocabulary.SIZES),
        ("background", vocabulary.BACKGROUNDS),
        ("pose", vocabulary.POSES),
    ],
)
def test_every_value_of_an_attribute_looks_different(part: str, values: tuple[str, ...]) -> None:
    pictures = {draw(replace(LARGE_RED, **{part: value}), 3).tobytes() for value in values}
    assert len(pictures) == len(values)


def test_a_larger_picture_shows_the_same_scene() -> None:
    def reduced(image_px: int) -> np.ndarray:
        picture = Image.fromarray(draw(replace(LARGE_RED, background="flowers"), 4, image_px))
        return np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.float32)

    assert np.abs(reduced(64) - reduced(256)).mean() < 6


def test_a_row_becomes_a_png_of_its_attributes() -> None:
    row = {"attributes": LARGE_RED.to_json(), "draw_seed": 5, "image_px": 32}
    picture = Image.open(io.BytesIO(draw_row(row)))
    assert picture.format == "PNG"
    np.testing.assert_array_equal(np.asarray(picture), draw(LARGE_RED, 5, 32))
