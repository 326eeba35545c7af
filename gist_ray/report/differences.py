"""Paired differences as rows of a table with a small drawing of each interval."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gist_ray.report.data import DifferenceRow, Pair, sides
from gist_ray.report.headline import Verdict, stands, verdict

DRAWING_WIDTH = 200


@dataclass(frozen=True)
class Difference:
    """One row; positions run from 0 to DRAWING_WIDTH on a scale that all rows share."""

    row: DifferenceRow
    verdict: Verdict
    # after Holm's correction; None where there was none, or the interval includes zero
    stands: bool | None
    # how many rows its pair of methods has, on the first of them; 0 on the others
    span: int
    zero_x: float
    mean_x: float
    low_x: float | None
    high_x: float | None
    seeds_x: list[float]


def difference_table(
    rows: Sequence[DifferenceRow],
    metric: str,
    *,
    headline: tuple[Pair, Pair],
    limit: int,
    confidence: float,
) -> list[Difference]:
    """Returns at most `limit` rows of `metric`: the headline's pair first, shots rising in each
    pair."""
    chosen = [row for row in rows if row["metric"] == metric]
    pairs = list(dict.fromkeys(sides(row) for row in chosen))
    pairs.sort(key=lambda pair: pair != headline)
    chosen.sort(
        key=lambda row: (
            pairs.index(sides(row)),
            float("inf") if row["shots"] is None else row["shots"],
        )
    )
    chosen = chosen[:limit]
    num_rows = Counter(sides(row) for row in chosen)

    values = [0.0]
    for row in chosen:
        values += [row["mean"], *row["per_seed"]]
        values += [end for end in (row["ci_low"], row["ci_high"]) if end is not None]
    low, high = min(values), max(values)
    scale = (DRAWING_WIDTH - 12) / ((high - low) or 1)

    def position(value: float) -> float:
        return 6 + (value - low) * scale

    made = []
    for row in chosen:
        # popped: only the first row of a pair finds its number
        span = num_rows.pop(sides(row), 0)
        found = verdict(row)
        made.append(
            Difference(
                row=row,
                verdict=found,
                stands=stands(row, confidence) if found in ("better", "worse") else None,
                span=span,
                zero_x=position(0),
                mean_x=position(row["mean"]),
                low_x=None if row["ci_low"] is None else position(row["ci_low"]),
                high_x=None if row["ci_high"] is None else position(row["ci_high"]),
                seeds_x=[position(value) for value in row["per_seed"]],
            )
        )
    return made
