"""Draws the backgrounds of the pictures."""

import math
import random

from PIL import Image, ImageDraw

from gist_ray.demo.butterflies.attributes import COLOURS
from gist_ray.demo.butterflies.brush import REFERENCE_PX, Colour, Point, box, line_width, shade

BACKGROUND_COLOURS = {
    "grass": (120, 170, 90),
    "sky": (165, 205, 235),
    "sand": (222, 200, 160),
    "bark": (110, 90, 72),
    "flowers": (150, 190, 130),
    "stone": (170, 170, 172),
    "paper": (250, 250, 246),
}
NUM_BACKGROUND_MARKS = {
    "grass": 26,
    "sky": 4,
    "sand": 50,
    "bark": 16,
    "flowers": 9,
    "stone": 10,
    "paper": 0,
}
FLOWER_COLOURS = ("pink", "yellow", "purple", "white", "red")
CLOUD_COLOUR = (235, 240, 245)


def background(
    kind: str, canvas_px: int, rng: random.Random
) -> tuple[Image.Image, tuple[int, int, int]]:
    """Returns a background of (canvas_px, canvas_px), and its main colour."""
    red, green, blue = shade(BACKGROUND_COLOURS[kind], rng, 12)
    colour = (red, green, blue)
    picture = Image.new("RGB", (canvas_px, canvas_px), colour)
    drawing = ImageDraw.Draw(picture)
    for _ in range(NUM_BACKGROUND_MARKS[kind]):
        place = rng.uniform(0, canvas_px), rng.uniform(0, canvas_px)
        mark_colour = shade(colour, rng, 26)
        _mark(drawing, kind, place, colour=mark_colour, canvas_px=canvas_px, rng=rng)
    return picture, colour


def _mark(
    drawing: ImageDraw.ImageDraw,
    kind: str,
    place: Point,
    *,
    colour: Colour,
    canvas_px: int,
    rng: random.Random,
) -> None:
    """Draws one blade, cloud, grain, crack, flower or pebble at `place`."""
    x, y = place
    unit = canvas_px / REFERENCE_PX
    if kind == "grass":
        tip = (x + rng.uniform(-8, 8) * unit, y - rng.uniform(10, 30) * unit)
        drawing.line([(x, y), tip], fill=colour, width=line_width(3, canvas_px))
    elif kind == "sky":
        length = rng.uniform(15, 40) * unit
        drawing.ellipse([x, y, x + length, y + length * 0.4], fill=CLOUD_COLOUR)
    elif kind == "sand":
        drawing.point([(x, y), (x + 1, y)], fill=colour)
    elif kind == "bark":
        foot = (x + rng.uniform(-10, 10) * unit, canvas_px)
        drawing.line([(x, 0), foot], fill=colour, width=line_width(rng.randint(2, 6), canvas_px))
    elif kind == "flowers":
        petal = shade(COLOURS[rng.choice(FLOWER_COLOURS)], rng)
        size = rng.uniform(6, 12) * unit
        for turn in range(5):
            angle = turn * 1.2566
            centre = x + size * math.cos(angle), y + size * math.sin(angle)
            drawing.ellipse(box(centre, size * 0.6, size * 0.6), fill=petal)
    elif kind == "stone":
        length = rng.uniform(10, 40) * unit
        drawing.ellipse([x, y, x + length, y + length * 0.7], fill=colour)
