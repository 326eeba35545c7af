"""What every kind of bad input has in common."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of bad input. The modules beside this one say how it is made and tried."""

    name: str
    """Unique among all kinds; a file name where the kind is a file."""

    happens: str
    """What becomes of it, as docs/bad_input.md says it."""


@dataclass(frozen=True, kw_only=True)
class PictureFile(Kind):
    """A file of bytes; of some kinds there are several, each by its own seed."""

    make: Callable[..., bytes]
    """(seed) -> content; without seed where there is one file only."""

    num_files: int = 1

    def files(self) -> dict[str, bytes]:
        """{file name: content}"""
        if self.num_files == 1:
            return {self.name: self.make()}
        return {f"{seed}_{self.name}": self.make(seed) for seed in range(self.num_files)}
