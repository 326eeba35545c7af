"""The result in one sentence, and whether its interval shows a difference."""

from dataclasses import dataclass
from typing import Literal

from gist_ray.report.data import DifferenceRow, Pair, ReportData, Shown, sides
from gist_ray.report.page.wording import confidence_level, interval, or_more, percent, points
from gist_ray.report.wording import (
    LOWER_IS_BETTER,
    at_shots,
    head_label,
    metric_label,
    pair_label,
    training_label,
)

Verdict = Literal["better", "worse", "undecided", "no interval"]


@dataclass(frozen=True)
class Headline:
    sentence: str
    verdict: Verdict
    explanation: str


def verdict(row: DifferenceRow) -> Verdict:
    """Returns "better" or "worse" (A than B) if the interval of A minus B excludes zero,
    "undecided" if it includes zero, "no interval" if there is none."""
    low, high = row["ci_low"], row["ci_high"]
    if low is None or high is None:
        return "no interval"
    if low <= 0 <= high:
        return "undecided"
    higher = low > 0
    return "better" if higher != (row["metric"] in LOWER_IS_BETTER) else "worse"


def stands(row: Shown, confidence: float) -> bool | None:
    """Returns whether a difference stands Holm's correction; None if it was not corrected, as the
    only one."""
    return None if row["p_holm"] is None else row["p_holm"] < 1 - confidence


def num_compared(data: ReportData) -> int:
    """Returns for how many differences Holm's correction was made, 0 for none."""
    rows = [*data.differences, *data.differences_over_shots]
    return sum(row["p_holm"] is not None for row in rows)


def headline(data: ReportData) -> Headline | None:
    """Returns the headline pair at its largest number of shots; None if it was not compared."""
    rows = [
        row
        for row in data.differences
        if sides(row) == data.headline
        and (row["metric"], row["split"]) == (data.headline_metric, data.split)
    ]
    if not rows:
        return None
    row = max(rows, key=lambda row: float("inf") if row["shots"] is None else row["shots"])
    return Headline(_sentence(data, row), verdict(row), _explanation(data, row))


def _sentence(data: ReportData, row: DifferenceRow) -> str:
    pair_a, pair_b = sides(row)
    (training_a, head_a), (training_b, head_b) = pair_a, pair_b
    name_b = training_label(training_b) if head_a == head_b else pair_label(pair_b)
    name_a = f"{training_label(training_a)} + {head_label(head_a)}"
    compared = f"{name_a} {_mean(data, row, pair_a)} against "
    compared += f"{_mean(data, row, pair_b)} {name_b}"
    difference = f"{points(row['mean'])} points {interval(row['ci_low'], row['ci_high'])}".rstrip()
    sentence = f"{compared} {at_shots(row['shots'])}: {difference}"
    # a line must not break inside an interval or before a unit
    return sentence.replace(", ", ",\N{NO-BREAK SPACE}").replace(" %", "\N{NO-BREAK SPACE}%")


def _mean(data: ReportData, difference: DifferenceRow, pair: Pair) -> str:
    means = {
        row["shots"]: row["mean"]
        for row in data.summary
        if (row["features"], row["method"]) == pair
        and (row["metric"], row["split"]) == (difference["metric"], difference["split"])
    }
    mean = means.get(difference["shots"], means.get(None))
    return f"{percent(mean)} %"


def _explanation(data: ReportData, row: DifferenceRow) -> str:
    num_seeds = len(row["per_seed"])
    over = f"{num_seeds} paired seed{'' if num_seeds == 1 else 's'}"
    what = f"{metric_label(row['metric'])}, mean over {over}"
    pair_a, pair_b = sides(row)
    name_a, name_b = training_label(pair_a[0]), training_label(pair_b[0])
    if name_a == name_b:
        name_a, name_b = pair_label(pair_a), pair_label(pair_b)
    the_interval = f"The {confidence_level(data.confidence)} interval"
    said = {
        "better": f"{the_interval} lies on {name_a}'s side of zero.",
        "worse": f"{the_interval} lies against {name_a}: it did worse than {name_b}.",
        "undecided": (
            f"{the_interval} includes zero: this run does not show that {name_a} and {name_b} "
            "differ."
        ),
        "no interval": "There is no interval for it, so it may be chance.",
    }[verdict(row)]
    if row["detectable"] is not None:
        said += f" It could have shown a difference of {or_more(row['detectable'])}."
    if verdict(row) in ("better", "worse") and stands(row, data.confidence) is False:
        said += (
            f" It does not stand Holm's correction for the {num_compared(data)} differences of "
            "this report."
        )
    return f"{said} ({what[0].upper()}{what[1:]}.)"
