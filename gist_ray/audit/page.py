"""The page of an audit: one offline HTML file with the findings and their pictures side by side."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.audit.config import ChecksConfig
from gist_ray.audit.findings import Findings
from gist_ray.audit.witnesses.witness import Witness
from gist_ray.report.page.document import Section, document
from gist_ray.report.thumbnails import thumbnail

FOLDER = Path(__file__).parent
EXAMPLES = 2
"""Pictures of a class beside a suspect, and of each class of a pair."""


def render(
    findings: Findings,
    exclude: pa.Table,
    *,
    checks: ChecksConfig,
    witnesses: Sequence[Witness],
    name: str,
    list_uri: str,
    config_yaml: str,
) -> str:
    """Returns the page as HTML with all strings escaped. At most `checks.num_shown` findings of a
    kind are shown."""
    values = {
        "name": name,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "findings": findings,
        "num_suspects": len(findings.suspects),
        "num_groups": len(findings.groups["group"].unique()),
        "num_exclude": len(exclude),
        "checks": checks,
        "list_uri": list_uri,
        "config_yaml": config_yaml,
        "thumbnail": cache(thumbnail),
    }
    examples = _examples(findings)
    sections = [
        Section("duplicates", "Copies", "section_duplicates.html", _duplicates(findings, checks)),
        Section(
            "labels",
            "Labels",
            "section_labels.html",
            {
                "agreement": _agreement(findings.labels),
                "suspects": findings.suspects.slice(0, checks.num_shown).to_pylist(),
                "witnesses": witnesses,
                "examples": examples,
            },
        ),
        Section("pictures", "Pictures", "section_pictures.html", _pictures(findings, checks)),
        Section("groups", "Groups", "section_groups.html", _groups(findings, checks)),
        Section(
            "classes",
            "Classes",
            "section_classes.html",
            {
                "pairs": findings.classes.slice(0, checks.num_shown).to_pylist(),
                "examples": examples,
            },
        ),
        Section("exclude", "Leaving out", "section_exclude.html", _exclude(exclude)),
    ]
    return document(FOLDER, "audit.html", values, filters={}, sections=sections)


def _duplicates(findings: Findings, checks: ChecksConfig) -> dict[str, Any]:
    """Returns the pairs to show, each with its pictures, and the numbers of all."""
    table = findings.duplicates
    shown = table.slice(0, checks.num_shown).to_pylist()
    uris = _uris(findings.manifest, {row[c] for row in shown for c in ("image_id", "other_id")})
    across = pc.not_equal(table["split"], table["other_split"])
    one, other = (pc.fill_null(table[c], "") for c in ("class_name", "other_class_name"))
    return {
        "pairs": [
            {**row, "uri": uris[row["image_id"]], "other_uri": uris[row["other_id"]]}
            for row in shown
        ],
        "kinds": Counter(table["kind"].to_pylist()).most_common(),
        "num_across_splits": pc.sum(across).as_py() or 0,
        "num_across_classes": pc.sum(pc.not_equal(one, other)).as_py() or 0,
    }


def _agreement(labels: pa.Table) -> dict[str, float]:
    """Returns {witness: the share of the labels that it suggests itself}, of LABELS."""
    said = labels["witnesses"].combine_chunks()
    rows = pa.table(
        {
            "witness": said.flatten().field("witness"),
            "agrees": pc.equal(
                said.flatten().field("suggested"),
                labels["class_name"].combine_chunks().take(pc.list_parent_indices(said)),
            ),
        }
    )
    shares = rows.group_by("witness").aggregate([("agrees", "mean")]).to_pydict()
    return dict(zip(shares["witness"], shares["agrees_mean"], strict=True))


def _pictures(findings: Findings, checks: ChecksConfig) -> dict[str, Any]:
    shown = findings.pictures.slice(0, checks.num_shown).to_pylist()
    uris = _uris(findings.manifest, {row["image_id"] for row in shown})
    faults = findings.pictures["faults"].combine_chunks().flatten().to_pylist()
    return {
        "pictures": [{**row, "uri": uris[row["image_id"]]} for row in shown],
        "faults": Counter(faults).most_common(),
        "error_kinds": Counter(findings.errors["kind"].to_pylist()).most_common(),
        "errors": findings.errors.slice(0, checks.num_shown).to_pylist(),
    }


def _groups(findings: Findings, checks: ChecksConfig) -> dict[str, Any]:
    splits: dict[str, list[str]] = {}
    for row in findings.groups.to_pylist():
        splits.setdefault(row["group"], []).append(f"{row['num_images']:,} {row['split']}")
    has_groups = findings.manifest["group"].null_count < len(findings.manifest)
    return {"groups": list(splits.items())[: checks.num_shown], "has_groups": has_groups}


def _exclude(exclude: pa.Table) -> dict[str, Any]:
    reasons = Counter(exclude["reason"].to_pylist()).most_common()
    return {"reasons": reasons, "splits": Counter(exclude["split"].to_pylist()).most_common()}


def _examples(findings: Findings) -> dict[str, list[str]]:
    """Returns {class name: URIs of its least suspicious images}."""
    found: dict[str, list[str]] = {}
    rows = findings.labels.select(["class_name", "uri"])
    for batch in reversed(rows.to_batches(max_chunksize=100_000)):
        cells = zip(batch["class_name"].to_pylist(), batch["uri"].to_pylist(), strict=True)
        for class_name, uri in reversed(list(cells)):
            of_class = found.setdefault(class_name, [])
            if len(of_class) < EXAMPLES:
                of_class.append(uri)
    return found


def _uris(manifest: pa.Table, image_ids: set[str]) -> dict[str, str]:
    wanted = pc.is_in(manifest["image_id"], value_set=pa.array(sorted(image_ids), pa.string()))
    rows = manifest.filter(wanted).select(["image_id", "uri"]).to_pydict()
    return dict(zip(*rows.values(), strict=True))
