"""Each value of one swept setting compared with a base value on the same draws, as a Markdown
table.

    python -m gist_ray.report.sweep.paired FOLDER --factor matching.k --base 3

The interval is Student's t over worlds, after a mean within each; over seeds if there is one
world.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gist_ray.errors import UserError
from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.evaluation.significance import (
    detectable_over_draws,
    holm_of_those,
    p_value_over_draws,
)
from gist_ray.report.page.wording import points
from gist_ray.report.sweep.factors import level, level_label, make_factor
from gist_ray.report.sweep.scores import HEADLINE_HEAD, gain_measure, held_out_measure
from gist_ray.report.sweep.tables import Sweep, Trial, read_sweep

Draw = tuple[int, str]
"""(unit, all else but the factor as JSON): trials of one draw differ in the factor alone."""


@dataclass(frozen=True)
class Contrast:
    """A mean difference of accuracies, as a fraction. low, high, detectable (the smallest true
    difference that would mostly have been shown), p_value: None for a single unit."""

    mean: float
    low: float | None
    high: float | None
    # unit (world or seed) -> its mean difference
    by_unit: Mapping[int, float]
    num_above: int
    num_draws: int
    detectable: float | None
    p_value: float | None


@dataclass(frozen=True)
class Level:
    """One value of the factor, its mean accuracy over units and its differences. over_frozen: from
    the frozen model. over_base: from the base; None for the base itself."""

    label: str
    accuracy: float
    over_frozen: Contrast | None
    over_base: Contrast | None


def paired_levels(
    sweep: Sweep,
    factor: str,
    base: str,
    *,
    head: str = HEADLINE_HEAD,
    where: Mapping[str, str] | None = None,
    confidence: float = 0.95,
) -> list[Level]:
    """Returns the levels in the factor's order, each compared on the draws that both sides have.

    base: the value as printed. where: {key: value as printed} keeps only the trials with these
    values. Raises UserError if no trial has a test accuracy and the factor, or none has the value
    `base`.
    """
    accuracies, gains = held_out_measure(sweep, head).scores, gain_measure(sweep, head).scores
    trials = [
        trial
        for trial in sweep.trials
        if trial.trial_id in accuracies
        and factor in trial.params
        and all(
            key in trial.params and level_label(trial.params[key]) == value
            for key, value in (where or {}).items()
        )
    ]
    if not trials:
        raise UserError(f"no trial has a test accuracy of {head} and a value of {factor}")
    axis = make_factor(trials, factor)
    labels = dict(zip(axis.places, axis.level_labels, strict=True))
    if base not in labels.values():
        raise UserError(f"{factor} has no value {base}; it has {', '.join(labels.values())}")
    found = {
        label: {_draw(trial, factor): trial for trial in trials if level(trial, factor) == name}
        for name, label in labels.items()
    }
    rows = []
    for label, of_level in found.items():
        here = {draw: accuracies[trial.trial_id].value for draw, trial in of_level.items()}
        gain = {
            draw: gains[trial.trial_id].value
            for draw, trial in of_level.items()
            if trial.trial_id in gains
        }
        less_base = {
            draw: value - accuracies[found[base][draw].trial_id].value
            for draw, value in here.items()
            if draw in found[base]
        }
        rows.append(
            Level(
                label,
                float(np.mean(list(_by_unit(here).values()))),
                _contrast(gain, confidence),
                None if label == base else _contrast(less_base, confidence),
            )
        )
    return rows


def _draw(trial: Trial, factor: str) -> Draw:
    rest = {key: value for key, value in trial.params.items() if key != factor}
    return trial.unit, json.dumps([rest, trial.seed], sort_keys=True)


def _by_unit(values: Mapping[Draw, float]) -> dict[int, float]:
    units: dict[int, list[float]] = {}
    for (unit, _), value in values.items():
        units.setdefault(unit, []).append(value)
    return {unit: float(np.mean(units[unit])) for unit in sorted(units)}


def _contrast(differences: Mapping[Draw, float], confidence: float) -> Contrast | None:
    """Returns the mean difference with its interval; None without a difference."""
    if not differences:
        return None
    by_unit = _by_unit(differences)
    values = np.array(list(by_unit.values()))
    low, high = seeds_interval(values, confidence) or (None, None)
    num_above = sum(value > 0 for value in differences.values())
    return Contrast(
        float(values.mean()),
        low,
        high,
        by_unit,
        num_above,
        len(differences),
        detectable_over_draws(values, confidence),
        p_value_over_draws(values),
    )


def markdown(rows: Sequence[Level], factor: str, *, base: str, unit: str) -> str:
    """Returns a Markdown table in percentage points. A difference has the smallest one that could
    have been shown, and its p-value after Holm's correction for all differences of the table. The
    last columns give the difference of each unit, and the number of draws above the base."""
    contrasts = [one for row in rows for one in (row.over_frozen, row.over_base)]
    corrected = iter(holm_of_those([one.p_value if one else None for one in contrasts]))
    lines = [
        f"| {factor} | accuracy, % | over the model as it came | over {base} | by {unit} | above |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        by_unit, above = "", ""
        if row.over_base:
            by_unit = " ".join(points(value) for value in row.over_base.by_unit.values())
            above = f"{row.over_base.num_above} of {row.over_base.num_draws}"
        cells = (
            row.label,
            f"{100 * row.accuracy:.1f}",
            _in_words(row.over_frozen, next(corrected)),
            _in_words(row.over_base, next(corrected)),
            by_unit,
            above,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_words(contrast: Contrast | None, p_holm: float | None) -> str:
    if contrast is None:
        return ""
    text = points(contrast.mean)
    if contrast.low is not None and contrast.high is not None:
        text += f" [{points(contrast.low)}, {points(contrast.high)}]"
    if contrast.detectable is not None:
        text += f"; could have shown {100 * contrast.detectable:.1f}"
    if p_holm is not None:
        text += f"; p {p_holm:.2g} (Holm)"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m gist_ray.report.sweep.paired",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="<root>/sweeps/<name> of a sweep that measures test")
    parser.add_argument("--factor", required=True, help="the key that is compared")
    parser.add_argument("--base", required=True, help="its value that the others are compared with")
    parser.add_argument("--head", default=HEADLINE_HEAD, help="such as zero_shot_best_texts")
    parser.add_argument("--where", nargs="+", default=[], metavar="KEY=VALUE", help="only these")
    parser.add_argument("--confidence", type=float, default=0.95)
    args = parser.parse_args()
    try:
        sweep = read_sweep(args.folder)
        rows = paired_levels(
            sweep,
            args.factor,
            args.base,
            head=args.head,
            where=dict(pair.partition("=")[::2] for pair in args.where),
            confidence=args.confidence,
        )
    except UserError as error:
        print("\n".join(error.problems), file=sys.stderr)
        sys.exit(2)
    print(markdown(rows, args.factor, base=args.base, unit=sweep.unit))


if __name__ == "__main__":
    main()
