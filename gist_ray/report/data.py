"""Input of a report: tables of the run and rows computed from them. Nothing here reads an artifact
or a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import pyarrow as pa

from gist_ray.matching.statistics import CLASS_STATISTICS, IMAGE_STATISTICS, TEXT_STATISTICS
from gist_ray.schema import ERRORS, MATCHES, PREDICTIONS, TEXTS


class SummaryRow(TypedDict):
    """One method on the features of one model, at one number of shots, over its seeds. Values are
    fractions from 0 to 1."""

    features: str
    method: str
    split: str
    # None: all training images, or a method that sees none, so that its value holds at all shots
    shots: int | None
    metric: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    num_seeds: int


Pair = tuple[str, str]
"""(features, method): what is compared."""


class Shown(TypedDict):
    """What a difference could have shown, and whether it stands a correction for many."""

    # the smallest true difference that would mostly have been shown; None where the spread is 0
    detectable: float | None
    # None for a slice of too few images
    p_value: float | None
    # Holm's, for all differences of its kind in the report; None where it is the only one
    p_holm: float | None


class DifferenceRow(Shown):
    """A minus B on the same draws, as fractions."""

    features_a: str
    method_a: str
    features_b: str
    method_b: str
    split: str
    shots: int | None
    metric: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    # one difference per seed, in the order of the seeds
    per_seed: list[float]


class SliceRow(Shown):
    """Top-1 accuracy on the images of a test set that have one value of an attribute, and that
    minus the accuracy on all of them. What is None could not be told from so few images."""

    features: str
    method: str
    split: str
    shots: int | None
    attribute: str
    # None: the images that have none
    value: str | None
    num_images: int
    mean: float | None
    ci_low: float | None
    ci_high: float | None
    difference: float | None
    difference_ci_low: float | None
    difference_ci_high: float | None


class StageRow(TypedDict):
    """One stage of the run."""

    # unique in the run, such as "finetune gist 5-shot seed 1"
    name: str
    # of the artifact
    kind: str
    # the row that alike stages share
    group: str
    fingerprint: str
    rows_in: int
    rows_ok: int
    # kind of error -> rows
    failed: dict[str, int]
    seconds: float
    # True: found in the store, so the seconds are those of the run that made it
    cached: bool
    # names of the stages it reads; without it in every row the flow is drawn as one chain
    inputs: NotRequired[list[str]]


def sides(row: DifferenceRow) -> tuple[Pair, Pair]:
    """Returns A and B of a difference."""
    return (row["features_a"], row["method_a"]), (row["features_b"], row["method_b"])


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything `render` needs. Tables follow `gist_ray.schema`; strings may be untrusted."""

    name: str
    """Name of the run."""
    created: str
    """When the run ended, as it should be printed, such as "2025-03-01 14:05 UTC"."""
    environment: dict[str, str]
    """Hardware, commit and versions of the run, printed in this order."""
    config_yaml: str
    """The resolved configuration."""
    metrics: pa.Table
    """METRICS: one row per method, shots, seed and metric; the test split's are shown."""
    summary: list[SummaryRow]
    """The metrics aggregated over seeds."""
    differences: list[DifferenceRow]
    """Pairs of methods compared on the same draws."""
    manifest: pa.Table
    """MANIFEST."""
    about: Sequence[str] = ()
    """Lines on what was understood of the data set."""
    stages: list[StageRow]
    """The stages in the order of the pipeline."""
    split: str = "test"
    """The test set that the page shows; "val" without one."""
    no_test: str = ""
    """Sentences on a run that was not measured on a test set; "" for any other."""
    confidence: float = 0.95
    """Confidence level of all intervals, 0 to 1."""
    differences_over_shots: list[DifferenceRow] = field(default_factory=list)
    """The same pairs over the draws of all numbers of shots together."""
    slices: list[SliceRow] = field(default_factory=list)
    """Of the method that the report is about, by attribute; one test set after the other."""
    headline: tuple[Pair, Pair] = (("gist", "linear_probe"), ("frozen", "linear_probe"))
    """The pairs that the first sentence compares."""
    headline_metric: str = "top1"
    """The metric of the first sentence, of the plot and of the table shown open."""
    texts: pa.Table = field(default_factory=TEXTS.empty_table)
    """TEXTS, rejected ones included."""
    matches: pa.Table = field(default_factory=MATCHES.empty_table)
    """MATCHES of the method that the report is about."""
    pairs_imported: bool = False
    """Whether these are the pairs of an imported file (texts.use_pairs), in the file's order,
    instead of chosen by similarity."""
    text_statistics: pa.Table = field(default_factory=TEXT_STATISTICS.empty_table)
    """TEXT_STATISTICS of these matches (`gist_ray.matching.statistics`)."""
    class_statistics: pa.Table = field(default_factory=CLASS_STATISTICS.empty_table)
    """CLASS_STATISTICS of these matches."""
    image_statistics: pa.Table = field(default_factory=IMAGE_STATISTICS.empty_table)
    """IMAGE_STATISTICS of these matches; the image cards are chosen from it."""
    predictions: pa.Table = field(default_factory=PREDICTIONS.empty_table)
    """PREDICTIONS of one method on the images of `split`, for the confusions."""
    predictions_of: str = ""
    """Which predictions these are, such as "GIST + linear probe, 5-shot seed 1"."""
    errors: pa.Table = field(default_factory=ERRORS.empty_table)
    """ERRORS of all stages."""
