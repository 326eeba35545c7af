"""Which texts were rejected and why, and how often the matching used the others."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class RejectedBy:
    """The texts that one check rejected."""

    check: str
    num_texts: int
    # (class_name, text)
    examples: list[tuple[str, str]]


def rejected_by_check(texts: pa.Table, num_examples: int = 3) -> list[RejectedBy]:
    """Returns counts and first examples per check, the most frequent check first.

    An example is the model's raw answer where tidying left an empty text.
    """
    rejected = texts.filter(pc.is_valid(texts.column("rejected")))
    frame = rejected.select(["rejected", "class_name", "text", "raw"]).to_pandas()
    groups = []
    for check, rows in frame.groupby("rejected"):
        examples = [
            (row.class_name, row.text or row.raw) for row in rows[:num_examples].itertuples()
        ]
        groups.append(RejectedBy(str(check), len(rows), examples))
    return sorted(groups, key=lambda group: (-group.num_texts, group.check))


def texts_by_id(texts: pa.Table, text_ids: Collection[str]) -> dict[str, str]:
    """Returns {text_id: the embedded text}, which every similarity refers to."""
    return _column_by_id(texts, text_ids, "text")


def short_texts(texts: pa.Table, text_ids: Collection[str]) -> dict[str, str]:
    """Returns {text_id: the short text that training uses instead of the embedded one}, only where
    the two differ."""
    differs = pc.not_equal(texts.column("short_text"), texts.column("text"))
    return _column_by_id(texts.filter(differs), text_ids, "short_text")


def most_used(text_statistics: pa.Table, texts: pa.Table, limit: int) -> list[dict[str, Any]]:
    """Returns at most `limit` TEXT_STATISTICS rows, those matched to most images first, each with
    its `text` and the `short_text` that training used instead (None where it used the text)."""
    used = text_statistics.filter(pc.greater(text_statistics.column("num_used"), 0))
    order = [("num_used", "descending"), ("num_best", "descending"), ("text_id", "ascending")]
    return _with_text(used.sort_by(order).slice(0, limit), texts)


def not_label_preserving(
    text_statistics: pa.Table, texts: pa.Table, limit: int
) -> list[dict[str, Any]]:
    """Returns at most `limit` TEXT_STATISTICS rows of texts that fit another class better, the
    worst first, with `text` and `short_text` as in `most_used`."""
    flagged = text_statistics.filter(pc.invert(text_statistics.column("label_preserving")))
    excess = pc.subtract(flagged.column("other_similarity"), flagged.column("own_similarity"))
    ordered = flagged.append_column("excess", excess).sort_by([("excess", "descending")])
    return _with_text(ordered.slice(0, limit), texts)


def fewest_texts(class_statistics: pa.Table, limit: int) -> list[dict[str, Any]]:
    """Returns at most `limit` CLASS_STATISTICS rows, those whose images use the smallest share of
    the class's texts first."""
    known = class_statistics.filter(pc.is_valid(class_statistics.column("effective_num_texts")))
    share = pc.divide(known.column("effective_num_texts"), known.column("num_texts"))
    ordered = known.append_column("share", share).sort_by(
        [("share", "ascending"), ("class_name", "ascending")]
    )
    return ordered.slice(0, limit).to_pylist()


def _with_text(rows: pa.Table, texts: pa.Table) -> list[dict[str, Any]]:
    text_ids = rows.column("text_id").to_pylist()
    long_texts, trained_on = texts_by_id(texts, text_ids), short_texts(texts, text_ids)
    return [
        {
            **row,
            "text": long_texts.get(row["text_id"], ""),
            "short_text": trained_on.get(row["text_id"]),
        }
        for row in rows.to_pylist()
    ]


def _column_by_id(texts: pa.Table, text_ids: Collection[str], column: str) -> dict[str, str]:
    wanted = texts.filter(pc.is_in(texts.column("text_id"), pa.array(text_ids, pa.string())))
    names, values = (wanted.column(name).to_pylist() for name in ("text_id", column))
    return dict(zip(names, values, strict=True))
