"""The stage that makes the set "concepts": short phrases that belong to no class, from a file of
the user's own or mined from the texts of the classes."""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from gist_ray.encoders.context import fits_context
from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import TEXTS, stable_id, table, usable_texts
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter, table_content
from gist_ray.texts import checks
from gist_ray.texts.clean import MAX_TEXT_CHARS
from gist_ray.texts.duplicates import duplicates
from gist_ray.texts.mine_concepts import mine_concepts
from gist_ray.texts.stage import TextSource
from gist_ray.texts.tidy import as_unicode

CONCEPTS = "concepts"
"""The name of the set of phrases that belong to no class."""

STAGE = "concepts"
NUM_SHOWN = 5
"""Left-out lines of a file that the progress names."""


def concepts_stage(source: TextSource, class_texts: Stage) -> Stage:
    """Returns the stage that writes the TEXTS of the set "concepts", label and class_name null.

    Raises UserError if the user's file cannot be read, is no list of phrases, or has none.
    """
    return _given(source) if source.texts.concepts else _mined(source, class_texts)


def read_concepts(uri: str) -> pa.Table:
    """Returns the phrases of a file as TEXTS: of a JSON list (`.json`), or one a line, empty lines
    left out. `sample` is the number of the line or of the entry, from 1. A phrase without a word,
    with more than MAX_TEXT_CHARS characters, with an address of the web, or that differs from one
    before it at most in spelling, has the check's name in `rejected`.

    Raises UserError if the file cannot be read, is no list of strings, or has no phrase left.
    """
    numbered = _read(uri)
    phrases = [" ".join(as_unicode(phrase).split()) for _, phrase in numbered]
    repeats = duplicates(phrases, [None] * len(phrases))
    rows = [
        {**_row(phrase, number), "rejected": _reason(phrase, is_repeat=is_repeat)}
        for (number, _), phrase, is_repeat in zip(numbered, phrases, repeats, strict=True)
    ]
    if all(row["rejected"] for row in rows):
        raise UserError(
            f"texts.concepts={uri}: has no usable phrase{_left_out(rows)}. Write one concept a "
            "line, such as `striped wings`."
        )
    return table(rows, TEXTS)


def _given(source: TextSource) -> Stage:
    uri = source.texts.concepts
    rows = read_concepts(uri)

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        checked = _rejecting_long(source, rows)
        if left_out := _left_out(checked.to_pylist()):
            progress.say(writer.stage, f"{uri}: {len(rows):,} phrases{left_out}")
        writer.write(checked)

    return Stage(
        name=STAGE,
        kind="texts",
        group=STAGE,
        identity={"concepts": table_content(rows), "clip": source.clip_identity},
        run=run,
        num_rows=len(rows),
    )


def _mined(source: TextSource, class_texts: Stage) -> Stage:
    max_concepts = source.texts.max_concepts

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        texts = usable_texts(inputs["texts"].read())
        names = [name or "" for name in texts.column("class_name").to_pylist()]
        found = mine_concepts(
            zip(texts.column("text").to_pylist(), names, strict=True), max_concepts
        )
        if not found:
            raise UserError(
                f"no word is in two of the {len(texts):,} texts of the classes, so no concept can "
                "be mined from them. Give a file of concepts with texts.concepts."
            )
        progress.say(writer.stage, f"{len(found):,} phrases of {len(texts):,} texts")
        rows = [_row(phrase, number) for number, phrase in enumerate(found, start=1)]
        writer.write(table(rows, TEXTS))

    return Stage(
        name=STAGE,
        kind="texts",
        group=STAGE,
        identity={"mined": {"max_concepts": max_concepts}},
        run=run,
        inputs={"texts": class_texts},
    )


def _rejecting_long(source: TextSource, rows: pa.Table) -> pa.Table:
    """Returns the rows with those rejected that the text tower would cut."""
    found = rows.to_pylist()
    left = [row for row in found if row["rejected"] is None]
    for row, fits in zip(
        left, fits_context(source.clip, [row["text"] for row in left]), strict=True
    ):
        row["rejected"] = None if fits else "too_long"
    return table(found, TEXTS)


def _read(uri: str) -> list[tuple[int, str]]:
    """Returns (number from 1, phrase) of the lines that are not empty, or of all entries."""
    try:
        content = storage.read_text(uri)
        entries = json.loads(content) if uri.endswith(".json") else content.splitlines()
    except FileNotFoundError as error:
        raise UserError(f"texts.concepts={uri}: there is no such file.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"texts.concepts={uri}: is not UTF-8 ({error.reason}). Save it as UTF-8."
        ) from error
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"texts.concepts={uri}: cannot be read ({error}).") from error
    if not isinstance(entries, list):
        raise UserError(f'texts.concepts={uri}: must be a JSON list, ["striped wings", ...].')
    numbered = list(enumerate(entries, start=1))
    wrong = [number for number, entry in numbered if not isinstance(entry, str)]
    if wrong:
        raise UserError(
            f"texts.concepts={uri}: {len(wrong)} entries are no strings: {wrong[:NUM_SHOWN]}."
        )
    return [(number, entry) for number, entry in numbered if entry.strip()]


def _reason(phrase: str, *, is_repeat: bool) -> str | None:
    if len(phrase) > MAX_TEXT_CHARS:
        return "too_long"
    if checks.is_empty(phrase):
        return "empty"
    if checks.has_url(phrase):
        return "url"
    return "duplicate" if is_repeat else None


def _left_out(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns "" where none is, else such as ", 2 left out: 4 (duplicate), 9 (too_long)"."""
    bad = [f"{row['sample']} ({row['rejected']})" for row in rows if row["rejected"]]
    more = ", ..." if len(bad) > NUM_SHOWN else ""
    return f", {len(bad):,} left out: {', '.join(bad[:NUM_SHOWN])}{more}" if bad else ""


def _row(phrase: str, number: int) -> dict[str, object]:
    return {
        "text_id": stable_id(CONCEPTS, number, phrase),
        "set": CONCEPTS,
        "axis": "",
        "prompt_id": "",
        "sample": number,
        "prompt": "",
        "raw": phrase,
        "text": phrase,
        "model": "",
        "sampling_params": "{}",
    }
