"""The report of a sweep: one offline HTML page, made from the sweep's tables alone."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from gist_ray.report.page.document import document
from gist_ray.report.page.svg import drawing, inline_svg, svg_document
from gist_ray.report.page.wording import count, duration
from gist_ray.report.sweep.configurations import Configuration, configurations, find_chosen
from gist_ray.report.sweep.costs import costs
from gist_ray.report.sweep.factors import Factor, factor_label, find_factors, level_label
from gist_ray.report.sweep.gains import shown_gains
from gist_ray.report.sweep.headline import headline
from gist_ray.report.sweep.held_out import HeldOut, held_out_rows
from gist_ray.report.sweep.importance import importance
from gist_ray.report.sweep.lines import MAX_LINES, line_figure
from gist_ray.report.sweep.plots import MAX_LEARNING_CURVES, factor_panel, learning_curves
from gist_ray.report.sweep.scores import (
    Measure,
    accuracy_measure,
    frozen_measure,
    gain_measure,
    main_measure,
    measures_test,
)
from gist_ray.report.sweep.tables import SHOTS, STATUSES, Sweep, read_sweep
from gist_ray.report.wording import metric_label, pair_label, shots_label
from gist_ray.store import storage

FOLDER = Path(__file__).parent
CONFIDENCE = 0.95
# How much of each list is shown: the page of thousands of trials stays one that can be mailed.
LIMITS = {
    "configurations": 300,
    "trials": 1000,
    "held_out": 40,
    "panels": 12,
    "curves": 6,
    "learning": MAX_LEARNING_CURVES,
}
STATUS_LABELS = {
    "ok": "ok",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "not finished",
    "not_run": "not run",
}


def write_sweep_report(folder: str) -> str:
    """Writes report.html into a sweep's folder, local or s3://, and returns its address. An
    unfinished sweep is shown as far as it got. Raises UserError if there is no sweep."""
    uri = storage.join(folder, "report.html")
    name = folder.rstrip("/").rpartition("/")[2]
    storage.write_text(uri, render(read_sweep(folder), name))
    return uri


def render(sweep: Sweep, name: str) -> str:
    """Returns the page as HTML, with all strings of the sweep escaped. name: used if sweep.json has
    none."""
    confidence = float(sweep.info.get("confidence", CONFIDENCE))
    measure, accuracy, gain = main_measure(sweep), accuracy_measure(sweep), gain_measure(sweep)
    factors = find_factors(sweep.trials)
    own_factors = [factor for factor in factors if factor.key != SHOTS]
    shots = [factor for factor in factors if factor.key == SHOTS]
    found = configurations(sweep.trials, measure, confidence)
    accuracies = {one.key: one for one in configurations(sweep.trials, accuracy, confidence)}
    gains = configurations(sweep.trials, gain, confidence)
    shown = shown_gains(gains, confidence)
    others = accuracies if accuracy.scores and accuracy.label != measure.label else {}
    chosen = find_chosen(sweep, found)
    tested = _held_out(sweep, chosen, confidence)
    values = {
        "sweep": sweep,
        "name": sweep.info.get("name", name),
        "confidence": confidence,
        "limits": LIMITS,
        "when": _when,
        "measure": measure,
        "measures_test": measures_test(sweep),
        "accuracy": accuracy,
        "accuracies": accuracies,
        "has_other_accuracy": bool(others),
        "gain": gain,
        "gains": {one.key: one for one in gains},
        "shown_gains": shown,
        "num_corrected": sum(one.stands is not None for one in shown.values()),
        "factors": factors,
        "own_factors": own_factors,
        "shots": {name: _shots(name) for name in shots[0].places} if shots else {},
        "fixed": _fixed(sweep, factors),
        "configurations": found,
        "chosen": chosen,
        "headline": headline(
            sweep,
            measure,
            own_factors,
            found=found,
            accuracies=others,
            confidence=confidence,
        ),
        "facts": _facts(sweep),
        "environment": _environment(sweep),
        "panels": _panels(sweep, factors, measure, chosen=chosen, confidence=confidence),
        "curves": _curves(sweep, factors, confidence),
        "importance": importance(sweep.trials, factors, measure, confidence=confidence),
        "learning": learning_curves(sweep, chosen),
        "held_out": tested,
        "held_out_metrics": list(dict.fromkeys(m for row in tested for m in row.cells)),
        "costs": costs(sweep),
        "settings": yaml.safe_dump(dict(sweep.info), allow_unicode=True),
        "status_labels": STATUS_LABELS,
        "sort_value": _sort_value,
    }
    filters: dict[str, Callable[..., str]] = {
        "factor_label": factor_label,
        "level_label": level_label,
        "pair_label": pair_label,
        "metric_label": metric_label,
    }
    return document(FOLDER, "sweep.html", values, filters=filters)


def _panels(
    sweep: Sweep,
    factors: Sequence[Factor],
    measure: Measure,
    *,
    chosen: Configuration | None,
    confidence: float,
) -> list[tuple[Factor, Markup]]:
    if not measure.scores:
        return []
    return [
        (
            factor,
            factor_panel(
                factor,
                sweep.trials,
                measure,
                chosen=chosen,
                confidence=confidence,
                number=number,
            ),
        )
        for number, factor in enumerate(factors[: LIMITS["panels"]])
    ]


def _facts(sweep: Sweep) -> list[tuple[str, str]]:
    """Returns (label, value) pairs that give the size of the sweep."""
    statuses = Counter(trial.status for trial in sweep.trials)
    told = [f"{count(statuses[s])} {STATUS_LABELS[s]}" for s in STATUSES if statuses[s]]
    info = sweep.info
    taken = duration(info["seconds"]) if "seconds" in info else "–"
    return [
        ("trials", f"{count(len(sweep.trials))}: {', '.join(told)}" if told else "none"),
        (f"{sweep.unit}s", ", ".join(map(str, sorted({t.unit for t in sweep.trials}))) or "–"),
        ("search", str(info.get("search", "–"))),
        ("early stopping", str(info.get("scheduler", {}).get("name", "–"))),
        ("time", taken if info.get("ended") else f"{taken} so far"),
    ]


def _environment(sweep: Sweep) -> dict[str, str]:
    """Returns start, end, hardware and versions as {name: text}."""
    times = {name: sweep.info.get(name) for name in ("started", "ended")}
    shown = {name: _when(seconds) for name, seconds in times.items() if seconds}
    for key in ("hardware", "environment"):
        shown |= {str(name): str(value) for name, value in sweep.info.get(key, {}).items()}
    return shown


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _fixed(sweep: Sweep, factors: Sequence[Factor]) -> dict[str, Any]:
    """Returns the params that all trials share."""
    swept = {factor.key for factor in factors}
    return {
        key: value
        for trial in sweep.trials[:1]
        for key, value in trial.params.items()
        if key not in swept
    }


def _curves(
    sweep: Sweep, factors: Sequence[Factor], confidence: float
) -> list[tuple[Measure, Factor, Factor | None, Markup]]:
    """Returns (measure, axis, by, SVG) of curves against shots and against k, with a line for each
    value of another factor: accuracy, and where both models were tested the gain of the tuned one.
    """
    axes = [factor for factor in factors if factor.key == SHOTS or factor.key.endswith(".k")]
    pairs: list[tuple[Factor, Factor | None]] = []
    for axis in axes:
        others = [f for f in factors if f is not axis and len(f.places) <= MAX_LINES]
        # k before others, shots before all
        others.sort(key=lambda factor: factor not in axes)
        pairs += [(axis, other) for other in others] or [(axis, None)]
    measures: list[tuple[Measure, Measure | None]] = [(accuracy_measure(sweep), None)]
    if measures_test(sweep):
        measures = [(measures[0][0], frozen_measure(sweep)), (gain_measure(sweep), None)]
    made: list[tuple[Measure, Factor, Factor | None, Markup]] = []
    for axis, by in pairs[: LIMITS["curves"]]:
        for measure, frozen in measures:
            key = by.key if by else None
            figure = line_figure(
                sweep.trials, measure, axis.key, by=key, confidence=confidence, frozen=frozen
            )
            if figure is not None:
                with drawing():
                    svg = svg_document(figure)
                text = f"{measure.label} against {axis.label}" + (f" by {by.label}" if by else "")
                made.append((measure, axis, by, inline_svg(svg, f"curve{len(made)}", text)))
    return made


def _held_out(sweep: Sweep, chosen: Configuration | None, confidence: float) -> list[HeldOut]:
    if chosen is None or measures_test(sweep):
        return []
    return held_out_rows(sweep, chosen.trial_ids, confidence)


def _shots(level: str) -> str:
    number = json.loads(level)
    return shots_label(number if isinstance(number, int) else None)


def _sort_value(factor: Factor, one: Configuration) -> float | str:
    place = factor.place(one.trials[0])
    return "" if place is None else place
