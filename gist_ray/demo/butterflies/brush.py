"""What all parts of a drawing are painted with: shades, lengths and boxes.

Lengths in pixels are given for a canvas of `REFERENCE_PX` and grow with it.
"""

import random

Colour = tuple[int, ...]

REFERENCE_PX = 128


def shade(colour: Colour, rng: random.Random, spread: float = 14) -> Colour:
    """A shade of `colour`: brighter or darker as a whole, and each channel a little by itself."""
    brightness = rng.gauss(0, spread * 0.7)
    return tuple(
        int(min(255, max(0, channel + brightness + rng.gauss(0, spread * 0.6))))
        for channel in colour
    )


def box(x: float, y: float, radius_x: float, radius_y: float) -> list[float]:
    return [x - radius_x, y - radius_y, x + radius_x, y + radius_y]


def line_width(reference: float, canvas_px: int) -> int:
    return max(1, round(reference * canvas_px / REFERENCE_PX))
