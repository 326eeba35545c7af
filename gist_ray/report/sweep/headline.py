"""The chosen configuration in one sentence, and whether its lead over the next best is shown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gist_ray.evaluation.intervals import seeds_interval
from gist_ray.evaluation.significance import detectable_over_draws
from gist_ray.report.page.wording import confidence_level, or_more, percent, points
from gist_ray.report.sweep.configurations import Configuration, find_chosen
from gist_ray.report.sweep.factors import Factor, factor_label, level_label
from gist_ray.report.sweep.held_out import held_out_sentence
from gist_ray.report.sweep.scores import Measure, measures_test
from gist_ray.report.sweep.tables import Sweep


@dataclass(frozen=True)
class Headline:
    """verdict: better (than the next best), undecided or no-interval; the CSS class of the box."""

    sentence: str
    verdict: str
    explanation: list[str]


def headline(
    sweep: Sweep,
    measure: Measure,
    factors: Sequence[Factor],
    *,
    found: Sequence[Configuration],
    accuracies: Mapping[str, Configuration],
    confidence: float,
) -> Headline:
    """Returns the sentence about the chosen or best configuration.

    found: configurations by `measure`, the best first. accuracies: {key: the same configuration by
    its accuracy}; empty if `measure` is accuracy.
    """
    scored = [one for one in found if one.mean is not None]
    if not scored:
        return Headline(
            "No trial has a result yet." if found else "No trial was started.",
            "no-interval",
            ["The table says why." if any(one.errors for one in found) else "None has ended."]
            if found
            else [],
        )
    chosen = find_chosen(sweep, found)
    best = chosen if chosen and chosen.mean is not None else scored[0]
    text = f"{configuration_label(best, factors)}: {measure.label} {_value(measure, best)}"
    if best.key in accuracies:
        text += f", accuracy {percent(accuracies[best.key].mean)} %"
    if chosen:
        sentence = f"Chosen of {_configurations(len(found))}: {text}."
    elif measures_test(sweep):
        sentence = f"Highest of {_configurations(len(scored))}: {text}."
    elif sweep.info.get("ended"):
        sentence = f"Nothing was chosen, as no configuration came out whole. Ahead: {text}."
    else:
        sentence = f"Nothing is chosen yet. Ahead so far: {text}."
    verdict, against = _against_next(
        measure, best, scored, factors=factors, unit=sweep.unit, confidence=confidence
    )
    if measures_test(sweep):
        verdict = "no-interval"
        about_test = (
            "This sweep measured the test images for every configuration, to draw curves. Nothing "
            "may be chosen by it: the highest of many is high by luck too."
        )
    else:
        about_test = _test(sweep, best, confidence)
    return Headline(_unbroken(sentence), verdict, [_unbroken(against), _unbroken(about_test)])


def configuration_label(one: Configuration, factors: Sequence[Factor]) -> str:
    """Returns the swept values, such as "k 3, learning rate 0.0003"."""
    parts = [
        f"{factor_label(factor.key)} {level_label(one.params[factor.key])}"
        for factor in factors
        if factor.key in one.params
    ]
    return ", ".join(parts) or "the only configuration"


def _against_next(
    measure: Measure,
    best: Configuration,
    scored: Sequence[Configuration],
    *,
    factors: Sequence[Factor],
    unit: str,
    confidence: float,
) -> tuple[str, str]:
    # with as many draws, or else the difference would be of the draws too
    others = [
        one
        for one in scored
        if one is not best
        and one.num_scored == best.num_scored
        and one.by_unit.keys() == best.by_unit.keys()
    ]
    if not others:
        return "no-interval", "There is no other configuration with as many results to compare."
    other = others[0]
    units = sorted(best.by_unit)
    sign = 1 if measure.higher_is_better else -1
    gains = np.array([sign * (best.by_unit[number] - other.by_unit[number]) for number in units])
    text = f"The next best, {configuration_label(other, factors)}, has {_value(measure, other)}"
    ends = seeds_interval(gains, confidence)
    if ends is None:
        return "no-interval", (
            f"{text}. One {unit} says nothing of the spread, so the difference may be chance: run "
            f"more {unit}s."
        )
    mean = gains.mean()
    lead = f"{points(mean)} points" if measure.unit else f"{mean:+.3f}".replace("-", "−")
    ahead = f"{text}; on the same {len(units)} {unit}s the lead is {lead} "
    ahead += f"{measure.interval(*ends)}, a {confidence_level(confidence)} interval over {unit}s. "
    power = ""
    if detectable := detectable_over_draws(gains, confidence):
        least = or_more(detectable) if measure.unit else f"{detectable:.3f} or more"
        power = f" These {len(units)} {unit}s could have shown a lead of {least}."
    if ends[0] > 0:
        return "better", f"{ahead}It lies above zero.{power}"
    return "undecided", (
        f"{ahead}It includes zero: this sweep does not show that the two differ.{power}"
    )


def _test(sweep: Sweep, best: Configuration, confidence: float) -> str:
    found = held_out_sentence(sweep, best.trial_ids, confidence)
    if not found:
        return "The test images were not looked at."
    return (
        f"On the test images, read once after the choice: {found}. This is what to expect on new "
        "images: the val score of the best of many is high by luck too."
    )


def _value(measure: Measure, one: Configuration) -> str:
    unit = " %" if measure.unit else ""
    return f"{measure.text(one.mean)}{unit} {measure.interval(one.low, one.high)}".rstrip()


def _configurations(number: int) -> str:
    return f"{number} configuration{'' if number == 1 else 's'}"


def _unbroken(sentence: str) -> str:
    """Returns the sentence with no-break spaces before units and inside intervals."""
    fixed = "\N{NO-BREAK SPACE}"
    kept = re.sub(r"\[[^][]*\]", lambda found: found[0].replace(" ", fixed), sentence)
    return kept.replace(" %", f"{fixed}%")
