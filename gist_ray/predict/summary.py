"""The files with the results of all pages of a prediction.

<out>/errors.parquet   ERRORS of all images that gave no prediction
<out>/summary.json     counts of the whole; written last
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.store import storage
from gist_ray.store.artifacts import ERRORS_FILE, Artifact

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class Summary:
    """The counts of a prediction, over all pages."""

    rows_in: int
    rows_ok: int
    failed: dict[str, int]
    """Kind of error -> images."""
    abstained: int
    classes: dict[str, int]
    """Class name -> images for which it was predicted."""
    seconds: float
    """Sum of the seconds of the pages."""
    warnings: list[str]
    """What the classifier's calibration cannot promise."""


def write_summary(out: str, pages: Collection[Artifact], warnings: Sequence[str]) -> Summary:
    """Writes errors.parquet and summary.json of all pages; returns the summary."""
    errors = pa.concat_tables([page.read_errors() for page in pages])
    storage.write_parquet(storage.join(out, ERRORS_FILE), errors)
    summary = _summary(pages, warnings)
    storage.write_json(storage.join(out, SUMMARY_FILE), asdict(summary))
    return summary


def _summary(pages: Collection[Artifact], warnings: Sequence[str]) -> Summary:
    failed: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    abstained = 0
    for page in pages:
        failed.update(page.counts["failed"])
        if not page.counts["rows_ok"]:
            continue
        said = page.read(["class_name", "abstained"])
        abstained += pc.sum(said.column("abstained")).as_py()
        for row in said.column("class_name").value_counts().to_pylist():
            classes[row["values"]] += row["counts"]
    rows_ok = sum(page.counts["rows_ok"] for page in pages)
    return Summary(
        rows_in=rows_ok + sum(failed.values()),
        rows_ok=rows_ok,
        failed=dict(failed),
        abstained=abstained,
        classes=dict(classes),
        seconds=round(sum(page.info["seconds"] for page in pages), 3),
        warnings=list(warnings),
    )
