import pyarrow as pa
import pytest

from gist_ray.audit.classes import CLASS_PAIRS
from gist_ray.audit.config import ChecksConfig
from gist_ray.audit.duplicates import duplicates
from gist_ray.audit.findings import Findings, suggested_exclusions
from gist_ray.audit.groups import leaking_groups
from gist_ray.audit.looks import faults_of
from gist_ray.audit.page import render
from gist_ray.audit.suspects import ranked_labels
from gist_ray.schema import COMPARED, ERRORS, TESTIMONY, table
from tests.audit.drawn import looks, manifest

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def findings() -> Findings:
    """i0 is a copy of i1 of test, i2 is blank and its label is suspected, i3 is dark."""
    images = manifest(
        [
            {"group": "p"},
            {"split": "test", "group": "p", "class_name": EVIL},
            {"uri": f"/{EVIL}.jpg", "class_name": EVIL},
            {"label": 1},
        ]
    )
    looked_at = looks({"content": "x"}, {"content": "x"}, {"contrast": 0.0}, {"brightness": 0.01})
    said = {"image_id": "i2", "score": 0.9, "suggested": 1}
    other = {"image_id": "i3", "score": 0.1, "suggested": 1}
    return Findings(
        manifest=images,
        duplicates=duplicates(images, looked_at, COMPARED.empty_table(), min_correlation=0.95),
        labels=ranked_labels(images, {"probe": table([said, other], TESTIMONY)}, num_issues=1),
        pictures=faults_of(looked_at, ChecksConfig()),
        groups=leaking_groups(images),
        classes=CLASS_PAIRS.empty_table(),
        errors=pa.table([["i9"], [f"/{EVIL}"], ["look"], ["corrupt"], [EVIL]], schema=ERRORS),
        num_pairs_left_out=0,
    )


@pytest.mark.parametrize(
    ("reasons", "left_out"),
    [
        (ChecksConfig().exclude, [("i0", "duplicates", "i1"), ("i2", "blank", "")]),
        (["labels", "blank"], [("i2", "blank; labels", "b")]),
        (["dark"], [("i3", "dark", "")]),
        ([], []),
    ],
)
def test_the_list_holds_what_was_asked_for(
    findings: Findings, reasons: list, left_out: list
) -> None:
    rows = suggested_exclusions(findings, reasons).to_pylist()
    assert [(row["image_id"], row["reason"], row["detail"]) for row in rows] == left_out


def test_the_page_escapes_names_and_holds_every_finding(findings: Findings) -> None:
    html = render(
        findings,
        suggested_exclusions(findings, ["duplicates", "blank"]),
        checks=ChecksConfig(),
        witnesses=[],
        name=EVIL,
        list_uri="runs/x/exclude.csv",
        config_yaml=EVIL,
    )
    assert EVIL not in html
    assert "data.exclude=runs/x/exclude.csv" in html
    for shown in ("1 pairs of copies", "1 blank, 1 dark", "1 test, 1 train", "1 corrupt"):
        assert shown in html
    assert "http" not in html.replace("http-equiv", "")
