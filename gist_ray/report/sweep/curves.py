"""Curves of a sweep as an SVG file: the score against one swept factor, with bands.

    python -m gist_ray.report.sweep.curves FOLDER --x matching.k --by study.shots --out k.svg

The score is val accuracy, or top-1 accuracy on test where the sweep measures test. With --gain it
is the gain of the fine-tuned model over the frozen one, on the same draws.
"""

import argparse
import sys
from collections.abc import Mapping

from gist_ray.errors import UserError
from gist_ray.report.page.svg import drawing, svg_document
from gist_ray.report.sweep.factors import level_label
from gist_ray.report.sweep.lines import line_figure
from gist_ray.report.sweep.scores import (
    HEADLINE_HEAD,
    TEST_METRIC,
    Measure,
    frozen_measure,
    gain_measure,
    held_out_measure,
    measures_test,
    val_measure,
)
from gist_ray.report.sweep.tables import Sweep, read_sweep
from gist_ray.store import storage


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m gist_ray.report.sweep.curves",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", help="<root>/sweeps/<name>, local or s3://")
    parser.add_argument("--x", required=True, help="the key along the axis, such as study.shots")
    parser.add_argument("--by", help="a line for each value of this key")
    parser.add_argument("--out", required=True, help="the SVG file to write")
    parser.add_argument("--gain", action="store_true", help="over the model as it came, on test")
    parser.add_argument("--head", help="on test, such as zero_shot_texts, not the linear probe")
    parser.add_argument("--metric", default=TEST_METRIC, help=f"on test, {TEST_METRIC} by default")
    parser.add_argument("--where", nargs="+", default=[], metavar="KEY=VALUE", help="only these")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the bands")
    args = parser.parse_args()
    try:
        sweep = read_sweep(args.folder)
        where = dict(pair.partition("=")[::2] for pair in args.where)
        measure, frozen = _measures(sweep, gain=args.gain, head=args.head, metric=args.metric)
        svg = curves(
            sweep,
            measure,
            args.x,
            by=args.by,
            confidence=args.confidence,
            where=where,
            frozen=frozen,
        )
        storage.write_text(args.out, svg)
    except UserError as error:
        print("\n".join(error.problems), file=sys.stderr)
        sys.exit(2)


def curves(
    sweep: Sweep,
    measure: Measure,
    x: str,
    *,
    by: str | None = None,
    confidence: float = 0.95,
    where: Mapping[str, str] | None = None,
    frozen: Measure | None = None,
) -> str:
    """Returns an SVG file with a white background, the same bytes for the same sweep.

    where: {key: value as printed} keeps only the trials with these values. The other arguments are
    those of `line_figure`. Raises UserError if there is nothing to draw.
    """
    only = where or {}
    trials = [
        trial
        for trial in sweep.trials
        if all(
            key in trial.params and level_label(trial.params[key]) == value
            for key, value in only.items()
        )
    ]
    figure = line_figure(trials, measure, x, by=by, confidence=confidence, frozen=frozen)
    if figure is None:
        keys = sorted({key for trial in sweep.trials for key in trial.params})
        wanted = " and ".join(key for key in (x, by) if key)
        among = f" where {', '.join(f'{key}={value}' for key, value in only.items())}"
        raise UserError(
            f"no trial has {measure.label} and {wanted}{among if only else ''}. The keys of its "
            f"trials are {', '.join(keys)}."
        )
    with drawing():
        figure.patch.set_facecolor("white")
        return svg_document(figure, transparent=False)


def _measures(
    sweep: Sweep, *, gain: bool, head: str | None, metric: str
) -> tuple[Measure, Measure | None]:
    """Returns the measure to draw, and the frozen model's where it is drawn beside it."""
    if gain:
        return gain_measure(sweep, head or HEADLINE_HEAD, metric), None
    if head is None and not measures_test(sweep):
        return val_measure(sweep, "val_accuracy"), None
    head = head or HEADLINE_HEAD
    return held_out_measure(sweep, head, metric), frozen_measure(sweep, head, metric)


if __name__ == "__main__":
    main()
