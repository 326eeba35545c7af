"""Numbers and untrusted texts as the page and the terminal show them."""

import re

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def percent(fraction: float | None) -> str:
    """Returns 0.7083 as "70.8", with a real minus sign for negative numbers; "–" for None."""
    return "–" if fraction is None else f"{100 * fraction:.1f}".replace("-", "−")


def points(fraction: float) -> str:
    """Returns a difference of fractions in percentage points, always with its sign."""
    return f"{100 * fraction:+.1f}".replace("-", "−")


def or_more(fraction: float | None) -> str:
    """Returns the smallest difference that could have been shown: "2.1 points or more"; "–" for
    None."""
    return "–" if fraction is None else f"{100 * fraction:.1f} points or more"


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
    """Returns at most `limit` characters of a text, without control characters.

    Control characters and lone surrogates are illegal in SVG or UTF-8: each becomes U+FFFD.
    """
    shown = UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text)[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"
