"""Cleaning of texts by a list of named checks.

Rejected texts stay in the table, with the name of the check that rejected them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, get_args

import pyarrow as pa
from pydantic import Field

from gist_ray.errors import UserError, listed
from gist_ray.schema import CLASS_TEXTS, TEXTS, table
from gist_ray.settings.declare import settings
from gist_ray.texts import checks
from gist_ray.texts.duplicates import duplicates, near_duplicates, shared_by_classes
from gist_ray.texts.foreign import about_foreign
from gist_ray.texts.language import Language, is_other_language
from gist_ray.texts.prompting import Notes, facts_of
from gist_ray.texts.tidy import MAX_ANSWER_CHARS, tidy

CheckName = Literal[
    "truncated",
    "empty",
    "url",
    "chat_filler",
    "list_remnant",
    "repetitive",
    "wrong_language",
    "class_name_leak",
    "contradicts_notes",
    "too_long",
    "duplicate",
    "near_duplicate",
    "shared_by_classes",
]
CHECK_NAMES: tuple[str, ...] = get_args(CheckName)

Fits = Callable[[Sequence[str], Sequence[str]], Sequence[bool]]
"""A function (texts, their class names) -> whether each fits the text tower as a caption, prefix
included."""

MAX_TEXT_CHARS = 4_000
"""Longer texts are too long for any text tower and are rejected before the other checks."""


def _skipped_by_default() -> list[CheckName]:
    return ["class_name_leak"]


@settings
class CleaningConfig:
    """The settings of the checks that reject texts."""

    skip: list[CheckName] = Field(default_factory=_skipped_by_default)
    """Checks that are left out. By default a text may contain its class's name."""

    language: Language = "en"
    """Language the texts must be in, as an ISO 639-1 code."""

    near_duplicate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Share of words in common (Jaccard) from which a text of the same class and axis counts as a
    near-duplicate; our choice: one word more in ten, or two exchanged in forty."""


@dataclass(frozen=True)
class Candidates:
    """Columns of the texts that no check has rejected yet."""

    texts: list[str]
    raws: list[str]
    class_names: list[str]
    axes: list[str]


def texts_from_answers(answers: pa.Table) -> pa.Table:
    """Returns ANSWERS rows as TEXTS rows with tidied texts.

    Rejects an answer that was cut before the end of its first sentence as "truncated", and one of
    more than MAX_ANSWER_CHARS as "too_long".
    """
    rows = answers.to_pylist()
    for row in rows:
        row["set"] = CLASS_TEXTS
        if len(row["raw"]) > MAX_ANSWER_CHARS:
            row["text"], row["rejected"] = "", "too_long"
            continue
        was_cut = row["finish_reason"] == "length"
        row["text"] = tidy(row["raw"], is_complete=not was_cut)
        row["rejected"] = "truncated" if was_cut and not row["text"] else None
    return table(rows, TEXTS)


def clean_texts(
    texts: pa.Table,
    config: CleaningConfig,
    *,
    fits: Fits | None = None,
    vocabulary: Sequence[str] = (),
    notes: Notes | None = None,
) -> pa.Table:
    """Returns `texts` (a TEXTS table) with the column `rejected` filled in.

    The checks run in the order of `CHECK_NAMES`, each on the texts that the earlier ones kept. So a
    text has the first check that rejects it, and a rejected text makes no other a duplicate. The
    first of several duplicates is kept; a text that several classes share is rejected in all.

    Args:
        fits: None skips the check too_long.
        vocabulary: words that exclude each other; a text with one that the notes of its class and
            axis lack contradicts them. Classes without notes are not checked.

    Raises:
        UserError: lists the classes without a text left, with the reasons.
    """
    by_name = _checks(config, fits=fits, vocabulary=vocabulary, notes=notes or {})
    columns = {
        name: texts.column(name).to_pylist() for name in ("text", "raw", "class_name", "axis")
    }
    rejected: list[str | None] = [
        reason or ("too_long" if len(text) > MAX_TEXT_CHARS else None)
        for reason, text in zip(texts.column("rejected").to_pylist(), columns["text"], strict=True)
    ]
    for check in CHECK_NAMES:
        if check not in by_name or check in config.skip:
            continue
        left = [row for row, reason in enumerate(rejected) if reason is None]
        candidates = Candidates(*([column[row] for row in left] for column in columns.values()))
        for row, is_bad in zip(left, by_name[check](candidates), strict=True):
            if is_bad:
                rejected[row] = check
    index = texts.schema.get_field_index("rejected")
    cleaned = texts.set_column(index, TEXTS.field("rejected"), pa.array(rejected, pa.string()))
    _require_a_text_per_class(cleaned, config.language)
    return cleaned


def rejection_counts(texts: pa.Table) -> dict[str, int]:
    """Returns {check: number of texts it rejected} in the checks' order, and the rest as "kept"."""
    rejected = texts.column("rejected").to_pylist()
    return {
        **{check: rejected.count(check) for check in CHECK_NAMES},
        "kept": rejected.count(None),
    }


def _checks(
    config: CleaningConfig, *, fits: Fits | None, vocabulary: Sequence[str], notes: Notes
) -> dict[str, Callable[[Candidates], Sequence[bool]]]:
    def each(is_bad: Callable[[str], bool]) -> Callable[[Candidates], Sequence[bool]]:
        return lambda found: [is_bad(text) for text in found.texts]

    def list_remnant(found: Candidates) -> list[bool]:
        return [
            checks.is_list_remnant(text, raw)
            for text, raw in zip(found.texts, found.raws, strict=True)
        ]

    def class_name_leak(found: Candidates) -> list[bool]:
        return [
            checks.names_class(text, name)
            for text, name in zip(found.texts, found.class_names, strict=True)
        ]

    def contradicts_notes(found: Candidates) -> list[bool]:
        bad = []
        for text, name, axis in zip(found.texts, found.class_names, found.axes, strict=True):
            facts = facts_of(notes, name, axis)
            known = [*facts.keys(), *facts.values()]
            against = partial(checks.contradictions, facts=known, vocabulary=vocabulary)
            bad.append(bool(facts and against(text, name)))
        return bad

    by_name: dict[str, Callable[[Candidates], Sequence[bool]]] = {
        "empty": each(checks.is_empty),
        "url": each(checks.has_url),
        "chat_filler": each(checks.is_chat_filler),
        "list_remnant": list_remnant,
        "repetitive": each(checks.is_repetitive),
        "wrong_language": each(lambda text: is_other_language(text, config.language)),
        "class_name_leak": class_name_leak,
        "contradicts_notes": contradicts_notes,
        "duplicate": lambda found: duplicates(found.texts, found.class_names),
        # Texts of different axis values, such as the male's and the female's, may rightly differ
        # in one word.
        "near_duplicate": lambda found: near_duplicates(
            found.texts,
            list(zip(found.class_names, found.axes, strict=True)),
            config.near_duplicate,
        ),
        "shared_by_classes": lambda found: shared_by_classes(found.texts, found.class_names),
    }
    if fits is not None:
        by_name["too_long"] = lambda found: [
            not fit for fit in fits(found.texts, found.class_names)
        ]
    return by_name


def _require_a_text_per_class(cleaned: pa.Table, language: Language) -> None:
    reasons: dict[str, list[str | None]] = {}
    columns = (cleaned.column(name).to_pylist() for name in ("class_name", "rejected"))
    for class_name, reason in zip(*columns, strict=True):
        reasons.setdefault(class_name, []).append(reason)
    lacking = {name: found for name, found in reasons.items() if None not in found}
    foreign = [name for name, found in lacking.items() if set(found) == {"wrong_language"}]
    problems = []
    if foreign:
        problems.append(
            f"{about_foreign(cleaned, language)} No text is left of {len(foreign):,} classes: "
            f"{listed(foreign)}."
        )
    for class_name, found in lacking.items():
        if class_name in foreign:
            continue
        counts = ", ".join(
            f"{found.count(check)} {check}" for check in CHECK_NAMES if check in found
        )
        problems.append(
            f"Class {class_name!r}: all of its {len(found)} texts were rejected ({counts}). "
            "Ask for more texts, change the prompts, or leave a check out with texts.cleaning.skip."
        )
    if problems:
        raise UserError(problems)
