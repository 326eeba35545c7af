"""Functions shared by all parts of a drawing: shades of colours, boxes and widths of lines.

Lengths in pixels are given for a canvas of REFERENCE_PX and are scaled to the size of the canvas.
"""

import random

Colour = tuple[int, ...]
Point = tuple[float, float]

REFERENCE_PX = 128


def shade(colour: Colour, rng: random.Random, spread: float = 14) -> Colour:
    """Returns a random shade of `colour`. spread: scale of the standard deviations of the change of
    the brightness (0.7 times) and of each channel (0.6 times)."""
    brightness = rng.gauss(0, spread * 0.7)
    return tuple(
        int(min(255, max(0, channel + brightness + rng.gauss(0, spread * 0.6))))
        for channel in colour
    )


def box(centre: Point, radius_x: float, radius_y: float) -> list[float]:
    """Returns the bounding box of an ellipse: left, top, right and bottom."""
    x, y = centre
    return [x - radius_x, y - radius_y, x + radius_x, y + radius_y]


def line_width(reference: float, canvas_px: int) -> int:
    """Returns a width in pixels that is given for a canvas of REFERENCE_PX, at least 1."""
    return max(1, round(reference * canvas_px / REFERENCE_PX))
