"""All findings of an audit, and the images that it suggests to leave out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.audit.config import Reason
from gist_ray.audit.duplicates import copies_of_other_splits
from gist_ray.audit.looks import FAULTS
from gist_ray.schema import table

EXCLUDE = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # the values of audit.exclude that apply, with semicolons between them
        pa.field("reason", pa.string(), nullable=False),
        # the image that it is a copy of, or the suggested class; "" else
        pa.field("detail", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("class_name", pa.string()),
        pa.field("uri", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The tables of an audit, complete and in the order in which the page shows them."""

    manifest: pa.Table
    duplicates: pa.Table
    """DUPLICATES"""

    labels: pa.Table
    """LABELS"""

    pictures: pa.Table
    """LOOKS of odd pictures, with `faults`"""

    groups: pa.Table
    """GROUPS"""

    classes: pa.Table
    """CLASS_PAIRS"""

    errors: pa.Table
    """ERRORS of the pictures that cannot be read"""

    num_pairs_left_out: int
    """Pairs of neighbours that were not compared, for there are more than audit.max_pairs."""

    @property
    def suspects(self) -> pa.Table:
        """Returns the LABELS that are probably wrong."""
        return self.labels.filter(self.labels["suspect"])


def suggested_exclusions(findings: Findings, reasons: Sequence[Reason]) -> pa.Table:
    """Returns EXCLUDE: the images with a finding of these kinds, in the manifest's order."""
    said: dict[str, list[tuple[str, str]]] = {}

    def note(reason: Reason, details: Mapping[str, str]) -> None:
        if reason in reasons:
            for image_id, detail in details.items():
                said.setdefault(image_id, []).append((reason, detail))

    note("duplicates", copies_of_other_splits(findings.duplicates))
    for row in findings.pictures.select(["image_id", "faults"]).to_pylist():
        for fault in FAULTS:
            if fault in row["faults"]:
                note(fault, {row["image_id"]: ""})  # type: ignore[arg-type]
    suspects = findings.suspects.select(["image_id", "suggested_name"]).to_pydict()
    note("labels", dict(zip(*suspects.values(), strict=True)))
    wanted = pa.array(list(said), pa.string())
    rows = findings.manifest.filter(pc.is_in(findings.manifest["image_id"], value_set=wanted))
    return table(
        (
            {
                **row,
                "reason": "; ".join(reason for reason, _ in said[row["image_id"]]),
                "detail": "; ".join(detail for _, detail in said[row["image_id"]] if detail),
            }
            for row in rows.to_pylist()
        ),
        EXCLUDE,
    )
