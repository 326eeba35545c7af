"""Draws a butterfly from its attributes, with the variations of a photograph.

The drawing is made at twice the requested size and reduced, which smooths the edges. Lengths of
the butterfly are in units of its wing span, x to the side, y downwards, the body at x = 0.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gist_ray.demo.butterflies.attributes import COLOURS, Attributes
from gist_ray.demo.butterflies.brush import REFERENCE_PX, Colour, Point, box, line_width, shade
from gist_ray.demo.butterflies.scenery import background

ANTENNA_COLOUR = (40, 36, 36)
SPAN_BY_SIZE = {"small": 0.27, "medium": 0.34, "large": 0.42}
SPOT_OFFSETS = ((-0.2, 0.05), (0.02, -0.16), (0.05, 0.14), (0.22, -0.03), (-0.03, 0.0))
PATTERN_CENTRE = {"forewing": (0.58, -0.42), "hindwing": (0.42, 0.36)}


@dataclass(frozen=True)
class Canvas:
    """The image that a butterfly is painted on, and the mask (0 or 255) of the painted pixels."""

    layer: Image.Image
    mask: Image.Image


@dataclass(frozen=True)
class Half:
    """The position of one half (left or right) of the butterfly on the canvas, in pixels."""

    centre_x: float
    centre_y: float
    # negative on the left; its magnitude is smaller than `span` on a tilted side
    span_x: float
    span: float

    def at(self, x: float, y: float) -> Point:
        """Returns the pixel position of a point in units of the wing span."""
        return self.centre_x + self.span_x * x, self.centre_y + self.span * y

    def ellipse(self, x: float, y: float, radius: float) -> list[float]:
        """Returns the bounding box, in pixels, of a circle in units of the wing span."""
        return box(self.at(x, y), abs(self.span_x) * radius, self.span * radius)


def draw(attributes: Attributes, seed: int, image_px: int = 64) -> np.ndarray:
    """Returns the picture: (image_px, image_px, 3) uint8, RGB.

    `seed` determines everything that is not an attribute: position, rotation, scale, shades, blur,
    contrast and noise.
    """
    rng = random.Random(seed)
    canvas_px = 2 * image_px
    picture, background_colour = background(attributes.background, canvas_px, rng)

    span = SPAN_BY_SIZE[attributes.size] * canvas_px * rng.uniform(0.94, 1.06)
    centre = (
        canvas_px / 2 + rng.uniform(-0.07, 0.07) * canvas_px,
        canvas_px / 2 + rng.uniform(-0.05, 0.07) * canvas_px,
    )
    canvas = Canvas(
        Image.new("RGB", picture.size, background_colour), Image.new("L", picture.size, 0)
    )
    _butterfly(attributes, canvas, rng, centre=centre, span=span)

    angle = rng.uniform(-28, 28)
    bilinear = Image.Resampling.BILINEAR
    layer = canvas.layer.rotate(angle, bilinear, center=centre, fillcolor=background_colour)
    picture.paste(layer, (0, 0), canvas.mask.rotate(angle, bilinear, center=centre))
    return _photograph(picture.resize((image_px, image_px), Image.Resampling.BOX), rng)


def _butterfly(
    attributes: Attributes, canvas: Canvas, rng: random.Random, *, centre: Point, span: float
) -> None:
    forewing = shade(COLOURS[attributes.forewing], rng)
    hindwing = shade(COLOURS[attributes.hindwing], rng)
    pattern = shade(COLOURS[attributes.pattern_colour], rng)
    border = None if attributes.border == "none" else shade(COLOURS[attributes.border], rng, 8)
    tilt = 0.62 if attributes.pose == "tilted" else 1.0
    for half in (Half(*centre, -span, span), Half(*centre, span * tilt, span)):
        for wing, colour in (("hindwing", hindwing), ("forewing", forewing)):
            outline = [half.at(x, y) for x, y in _wing_outline(wing, attributes.shape)]
            surface = Image.new("RGB", canvas.layer.size, colour[:3])
            drawing = ImageDraw.Draw(surface)
            _pattern(drawing, wing, half, attributes=attributes, colour=pattern, rng=rng)
            if border is not None:
                width = max(line_width(3, surface.width), int(half.span * 0.17))
                drawing.line([*outline, outline[0]], fill=border, width=width)
            _paste_polygon(canvas, surface, outline)
        if attributes.tail != "none":
            _tail(attributes.tail, half, canvas, colour=border or hindwing)
        _antenna(attributes.antennae, half, canvas)
    body = shade(COLOURS[attributes.body], rng, 8)
    x, y = centre
    limits = [x - span * 0.085, y - span * 0.40, x + span * 0.085, y + span * 0.55]
    ImageDraw.Draw(canvas.layer).ellipse(limits, fill=body)
    ImageDraw.Draw(canvas.mask).ellipse(limits, fill=255)


def _paste_polygon(canvas: Canvas, surface: Image.Image, outline: list[Point]) -> None:
    """Copies the inside of a polygon from `surface` to the canvas."""
    inside = Image.new("L", surface.size, 0)
    ImageDraw.Draw(inside).polygon(outline, fill=255)
    canvas.layer.paste(surface, (0, 0), inside)
    canvas.mask.paste(255, (0, 0), inside)


@lru_cache
def _wing_outline(wing: str, shape: str) -> tuple[Point, ...]:
    """Returns the outline of the right wing, a Catmull-Rom spline through the corner points."""
    points = _corner_points(wing, shape)
    outline: list[Point] = []
    for i in range(len(points)):
        neighbours = [points[(i + j) % len(points)] for j in (-1, 0, 1, 2)]
        for t in (0.0, 0.25, 0.5, 0.75):
            x, y = (_catmull_rom(values, t) for values in zip(*neighbours, strict=True))
            notched = shape == "scalloped" and t == 0.5 and x > 0.55
            outline.append((x * 0.88, y * 0.90) if notched else (x, y))
    return tuple(outline)


def _corner_points(wing: str, shape: str) -> list[Point]:
    if wing == "forewing":
        root = [(0.02, -0.10), (0.25, -0.62)]
        inner = [(0.70, -0.10), (0.30, 0.05), (0.02, 0.08)]
        outer = {
            "rounded": [(0.60, -0.80), (0.86, -0.72), (0.92, -0.42)],
            "pointed": [(0.62, -0.85), (1.08, -0.95), (0.82, -0.42)],
            "scalloped": [(0.62, -0.85), (0.95, -0.80), (0.93, -0.45)],
        }
        return [*root, *outer[shape], *inner]
    root = [(0.02, 0.0), (0.35, 0.02), (0.70, 0.05)]
    outer = {
        "rounded": [(0.82, 0.30), (0.72, 0.60), (0.48, 0.78)],
        "pointed": [(0.85, 0.22), (0.74, 0.58), (0.40, 0.88)],
        "scalloped": [(0.82, 0.30), (0.72, 0.60), (0.48, 0.78)],
    }
    return [*root, *outer[shape], (0.22, 0.70), (0.02, 0.35)]


def _catmull_rom(values: Sequence[float], t: float) -> float:
    """Returns the spline's value at t in 0..1 between the second and the third of four values."""
    before, start, end, after = values
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t * t
        + (-before + 3 * start - 3 * end + after) * t**3
    )


def _pattern(
    drawing: ImageDraw.ImageDraw,
    wing: str,
    half: Half,
    *,
    attributes: Attributes,
    colour: Colour,
    rng: random.Random,
) -> None:
    x, y = PATTERN_CENTRE[wing]
    is_forewing = wing == "forewing"
    if attributes.pattern == "spots":
        for offset_x, offset_y in SPOT_OFFSETS:
            spot_x = x + offset_x * 1.2 + rng.uniform(-0.03, 0.03)
            spot_y = y + offset_y * 1.3 + rng.uniform(-0.03, 0.03)
            drawing.ellipse(half.ellipse(spot_x, spot_y, 0.075), fill=colour)
    elif attributes.pattern == "stripes":
        for stripe in range(4):
            root = 0.12 + 0.24 * stripe
            ends = [half.at(root, -1.0), half.at(root + 0.12, 1.0)]
            drawing.line(ends, fill=colour, width=max(2, int(half.span * 0.08)))
    elif attributes.pattern == "eyespots":
        pupil = COLOURS["white" if attributes.pattern_colour == "black" else "black"]
        drawing.ellipse(half.ellipse(x, y, 0.21), fill=colour)
        drawing.ellipse(half.ellipse(x, y, 0.11), fill=pupil)
        drawing.ellipse(half.ellipse(x + 0.03, y - 0.03, 0.04), fill=COLOURS["white"])
    elif attributes.pattern == "band":
        ends = [(0.30, -1.1), (0.66, 0.2)] if is_forewing else [(0.62, -0.1), (0.30, 0.9)]
        thickness = int(half.span * (0.22 if is_forewing else 0.20))
        drawing.line([half.at(*end) for end in ends], fill=colour, width=thickness)
    elif attributes.pattern == "tip":
        tip = half.ellipse(0.98, -0.80, 0.36) if is_forewing else half.ellipse(0.60, 0.68, 0.26)
        drawing.ellipse(tip, fill=colour)


def _tail(tail: str, half: Half, canvas: Canvas, *, colour: Colour) -> None:
    length = 0.28 if tail == "short" else 0.62
    outline = [
        half.at(0.50, 0.68),
        half.at(0.62, 0.66),
        half.at(0.60, 0.70 + length),
        half.at(0.50, 0.72 + length),
    ]
    ImageDraw.Draw(canvas.layer).polygon(outline, fill=colour)
    ImageDraw.Draw(canvas.mask).polygon(outline, fill=255)


def _antenna(antennae: str, half: Half, canvas: Canvas) -> None:
    root = half.at(0.02, -0.34)
    tip = half.at(0.36 if antennae == "thin" else 0.30, -1.05)
    canvas_px = canvas.layer.width
    radius = 4 * canvas_px / REFERENCE_PX
    for image, fill in ((canvas.layer, ANTENNA_COLOUR), (canvas.mask, 255)):
        drawing = ImageDraw.Draw(image)
        drawing.line([root, tip], fill=fill, width=line_width(2, canvas_px))
        if antennae == "feathery":
            drawing.line([root, tip], fill=fill, width=line_width(6, canvas_px))
        elif antennae == "clubbed":
            drawing.ellipse(box(tip, radius, radius), fill=fill)


def _photograph(picture: Image.Image, rng: random.Random) -> np.ndarray:
    """Returns a picture with blur (one in four), changed contrast and brightness, and noise:
    (px, px, 3) uint8."""
    if rng.random() < 0.25:
        radius = rng.uniform(0.3, 0.8) * 2 * picture.width / REFERENCE_PX
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    pixels = np.asarray(picture, np.float32)
    pixels = (pixels - 128) * rng.uniform(0.8, 1.12) + 128 + rng.uniform(-18, 18)
    noise = np.random.default_rng(rng.getrandbits(32))
    pixels += noise.normal(0, rng.uniform(2, 8), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
