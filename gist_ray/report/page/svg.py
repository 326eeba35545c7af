"""Matplotlib figures as SVG that does not affect the rest of the page."""

import io
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's blue and vermilion: told apart with every kind of colour vision, and in grey.
FOCUS, REFERENCE, OTHER, CHANCE = "#0072B2", "#222222", "#777777", "#D55E00"
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
# Any: matplotlib types the keys as literals
RC: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "gist-ray",
    # a class or method name with two $ is no formula
    "text.parse_math": False,
    "font.size": 8.5,
    "axes.linewidth": 0.6,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Applies Matplotlib's settings for figures of a page inside the `with` block."""
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        # the browser has a font for it
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def plain_axes(axes: Axes) -> None:
    """Reduces the frame to its bottom line and removes the tick marks."""
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelcolor="#555555")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#999999")


def svg_document(figure: Figure, transparent: bool = True) -> str:
    """Returns the figure as an SVG file, the same bytes for the same figure."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None})
    return buffer.getvalue()


def inline_svg(document: str, prefix: str, description: str) -> Markup:
    """Returns a Matplotlib SVG for use inside a page.

    An XML library writes it anew, so everything in it is escaped. Ids get `prefix`; style sheets,
    which would apply to the whole page, are removed.
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(document)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata") or "metadata" in child.tag:
                parent.remove(child)
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{prefix}-{value}")
            elif value.startswith("url(#"):
                element.set(name, value.replace("url(#", f"url(#{prefix}-", 1))
            elif name == f"{{{XLINK}}}href" and value.startswith("#"):
                element.set(name, f"#{prefix}-{value[1:]}")
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ET.tostring(root, encoding="unicode"))
