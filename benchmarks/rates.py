"""Ratios that hold on a machine that is not quiet: ours and the bare alternative in turns."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.record import say_table, spread
from gist_ray.store.parts import PARTS

Stamp = tuple[float, int]
"""When some work was done (seconds) and how much it was (rows or tokens)."""


@dataclass(frozen=True)
class Rates:
    """Rates of the same work, measured in turns: ours[i] right before bare[i]."""

    ours: list[float]
    bare: list[float]

    @property
    def ratios(self) -> list[float]:
        return [own / other for own, other in zip(self.ours, self.bare, strict=True)]

    def numbers(self) -> dict[str, object]:
        return {"ours": self.ours, "bare": self.bare, "ratio": spread(self.ratios)}

    def row(self, name: str) -> list[str]:
        """Cells of `say_rates`."""
        least, most = min(self.ratios), max(self.ratios)
        return [
            name,
            f"{statistics.median(self.ours):,.1f}",
            f"{statistics.median(self.bare):,.1f}",
            f"{statistics.median(self.ratios):.3f}",
            f"{least:.3f} .. {most:.3f}",
        ]


def in_turns(ours: Callable[[], float], bare: Callable[[], float], num_pairs: int) -> Rates:
    """Measure both `num_pairs` times, one right after the other."""
    rates = Rates([], [])
    for _ in range(num_pairs):
        rates.ours.append(ours())
        rates.bare.append(bare())
        print(f"ours {rates.ours[-1]:,.2f}  bare {rates.bare[-1]:,.2f}", flush=True)
    return rates


def say_rates(title: str, unit: str, rows: Sequence[Sequence[str]]) -> None:
    """`rows` are `Rates.row`s; what is shown are medians."""
    say_table(f"{title}, {unit}", ("", "ours", "bare", "ratio", "least .. most"), rows)


def steady_rate(stamps: Sequence[Stamp], start: float = 0.25, end: float = 1.0) -> float:
    """Work per second of the stamps between the shares `start` and `end` of them: after the
    warm-up and, where `end` is below 1, before the tail."""
    stamps = sorted(stamps)
    first, last = int(start * len(stamps)), max(1, round(end * len(stamps))) - 1
    if last <= first:
        raise ValueError(f"{len(stamps)} stamps are too few for a rate")
    return sum(work for _, work in stamps[first + 1 : last + 1]) / (
        stamps[last][0] - stamps[first][0]
    )


def part_times(folder: str) -> dict[str, float]:
    """When each part file of an artifact was written, by path: what a stage leaves anyway tells
    how fast it was."""
    files = Path(folder, PARTS).glob("*.parquet")
    return {str(file): file.stat().st_mtime for file in files}
