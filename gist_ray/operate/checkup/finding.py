"""One line of `gist-ray doctor`."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """The finding about one property of the machine."""

    level: Level
    """problem: a run would stop or fail."""

    subject: str
    found: str

    fix: str = ""
    """The remedy; empty if `level` is ok."""
