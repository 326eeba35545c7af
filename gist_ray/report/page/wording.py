"""How numbers and foreign texts are written, in the page and in the terminal."""

import re

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def percent(fraction: float | None) -> str:
    """0.7083 -> "70.8", the sign of a negative number as a real minus."""
    return "–" if fraction is None else f"{100 * fraction:.1f}".replace("-", "−")


def points(fraction: float) -> str:
    """A difference in percentage points, always signed."""
    return f"{100 * fraction:+.1f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def count(number: int) -> str:
    return f"{number:,}"


def confidence_level(confidence: float) -> str:
    return f"{100 * confidence:g} %"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def shorten(text: object, limit: int = 300) -> str:
    """At most `limit` characters of a text, without control characters.

    Control characters and lone surrogates are illegal in SVG or UTF-8: each becomes U+FFFD.
    """
    shown = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
