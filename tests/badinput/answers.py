"""What a language model may answer, and what people may give us in its place."""

import io
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tests.badinput.kinds import Kind

CLASSES = ("ant", "blue bee")
GOOD = ("A black body with six long legs.", "A narrow waist and a shiny head.")


@dataclass(frozen=True, kw_only=True)
class Answer(Kind):
    """An answer for the first of `CLASSES`, and the check that rejects it."""

    raw: str
    rejected: str | None
    text: str | None = None
    """What is left of it, where that matters."""
    finish_reason: str = "stop"


@dataclass(frozen=True, kw_only=True)
class TextsFile(Kind):
    """A file for texts.import_from: ends the job with exit code 2 and a sentence that the regular
    expression `says` finds, or with texts that are rejected."""

    content: bytes
    says: str = ""
    rejected: tuple[str | None, ...] = ()
    ending: str = "json"


def _answer(name: str, happens: str, raw: str, rejected: str | None, **options: str) -> Answer:
    return Answer(name=f"answer: {name}", happens=happens, raw=raw, rejected=rejected, **options)


_PARTS = ["wing", "leg", "head", "eye", "body", "waist", "back", "edge", "tail", "foot", "jaw"]
_COLOURS = ["red", "blue", "green", "black", "white", "yellow", "brown", "grey"]
LONG = ", ".join(f"{c} {p}" for c in _COLOURS for p in _PARTS)
"""176 words, none of which makes it repetitive."""

ANSWERS: list[Answer] = [
    _answer("empty", "rejected as `empty`", "", "empty"),
    _answer("white space", "rejected as `empty`", " \n\t\u3000 ", "empty"),
    _answer("dots", "rejected as `empty`", "... ... !", "empty"),
    _answer(
        "cut at max_tokens",
        "whole sentences are kept, the rest goes; without any rejected as `truncated`",
        "A black body with six long",
        "truncated",
        finish_reason="length",
    ),
    _answer("1 MB", "rejected as `too_long`, not read", "a-" * 500_000, "too_long"),
    _answer("40,000 letters", "rejected as `too_long`", "a-" * 20_000, "too_long"),
    _answer("longer than CLIP's context", "rejected as `too_long`", LONG, "too_long"),
    _answer(
        "going round in circles",
        "rejected as `repetitive`",
        "The wing is red. " * 6,
        "repetitive",
    ),
    _answer(
        "another language",
        "rejected as `wrong_language`; the language that it looks like and the setting are said",
        "Der schwarze Körper hat sechs lange Beine und einen glänzenden Kopf mit Fühlern.",
        "wrong_language",
    ),
    _answer("a refusal", "rejected as `chat_filler`", "I'm sorry, I cannot.", "chat_filler"),
    _answer("a list", "rejected as `list_remnant`", "- black\n- shiny\n- small", "list_remnant"),
    _answer("a link", "rejected as `url`", "See https://example.com/ant for more.", "url"),
    _answer("broken JSON", "rejected as `empty`", '{"text": "A black bo', "empty"),
    _answer("JSON without the text", "rejected as `empty`", '{"texts": ["x"]}', "empty"),
    _answer("JSON of another type", "rejected as `empty`", '{"text": null}', "empty"),
    _answer("JSON of 20,000 brackets", "rejected as `empty`", '{"text":' * 2_500, "empty"),
    _answer(
        "JSON of 5,000 digits", "rejected as `empty`", '{"text": ' + "9" * 5_000 + "}", "empty"
    ),
    _answer(
        "half a character in JSON",
        "kept, with U+FFFD in its place",
        '{"text": "A black \\ud83d body with short legs."}',
        None,
        text="A black \ufffd body with short legs.",
    ),
    _answer(
        "another class's name",
        "kept: field guides compare",
        "Smaller than a blue bee, with longer legs.",
        None,
    ),
    _answer(
        "HTML",
        "kept; escaped in the report",
        "A <script>alert(1)</script> black <b>body</b>.",
        None,
        text="A <script>alert(1)</script> black <b>body</b>.",
    ),
    _answer(
        "ANSI escapes and control characters",
        "kept without them",
        "A \x1b[31mred\x1b[0m head\x00 with\x07 a \x1b]0;owned\x07tiny jaw.\x9b",
        None,
        text="A red head with a tiny jaw.",
    ),
]


def _parquet(columns: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def _file(name: str, happens: str, content: bytes, says: str = "", **options: object) -> TextsFile:
    return TextsFile(
        name=f"texts file: {name}", happens=happens, content=content, says=says, **options
    )  # type: ignore[arg-type]


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


FINE = {name: list(GOOD) for name in CLASSES}
REFUSED = "ends the job with exit code 2"

FILES: list[TextsFile] = [
    _file(
        "broken JSON", f"{REFUSED}: names the line", b'{"ant": [\n"x"', r"\.json:2: is not valid"
    ),
    _file("not UTF-8", REFUSED, b'{"ant": ["\xff"]}', r"is not UTF-8"),
    _file("a million brackets", REFUSED, b"[" * 10**6, r"cannot be read as JSON"),
    _file("a list", REFUSED, b"[]", r"must be a JSON object of lists of texts"),
    _file("numbers for texts", REFUSED, _json({"ant": [1]}), r"'ant' is not a list of texts"),
    _file(
        "a class twice",
        REFUSED,
        b'{"ant": ["a"], "ant": ["b"], "blue bee": ["c"]}',
        r"key 'ant' occurs 2 times",
    ),
    _file("a class missing", REFUSED, _json({"ant": ["x"]}), r"1 classes have no text: 'blue bee'"),
    _file(
        "an unknown class",
        REFUSED,
        _json({**FINE, "\x1b[2Jwasp": ["x"]}),
        r"1 names are no class of the data set: '\\x1b\[2Jwasp'",
    ),
    _file(
        "another language than was asked for",
        "refused when the texts are imported, exit code 2: names the language, the count, an "
        "example and the setting `texts.cleaning.language`",
        _json(
            {
                "ant": ["Der schwarze Körper hat sechs lange Beine und einen glänzenden Kopf"],
                "blue bee": ["Die kleinen Flügel sind blau und liegen auf einem runden Leib"],
            }
        ),
        r"2 of 2 texts are not in English.*2 look like German .*texts\.cleaning\.language=de",
    ),
    _file(
        "Parquet cut short",
        REFUSED,
        _parquet({"text": list(GOOD), "class_name": list(CLASSES)})[:-50],
        r"is not a Parquet file",
        ending="parquet",
    ),
    _file(
        "Parquet with other columns",
        REFUSED,
        _parquet({"txt": ["x"]}),
        r"needs the columns text and class_name",
        ending="parquet",
    ),
    _file(
        "Parquet with numbers for texts",
        REFUSED,
        _parquet({"text": [1, 2], "class_name": list(CLASSES)}),
        r"row 0 has no text",
        ending="parquet",
    ),
    _file(
        "Parquet with text in a column of numbers",
        REFUSED,
        _parquet({"text": list(GOOD), "class_name": list(CLASSES), "sample": ["a", "b"]}),
        r"a column is not of its type in a texts table",
        ending="parquet",
    ),
    _file(
        "half characters and endless texts",
        "read; U+FFFD stands for half a character, what is endless is rejected as `too_long`",
        _json({**FINE, "ant": ["A \ud800 black body.", "a-" * 500_000]}),
        rejected=(None, "too_long", None, None),
    ),
]
