"""Extracts the text from a model's answer."""

import json
import re
import unicodedata

# Texts are captions, and no useful answer is this long, reasoning included. Some of Python's text
# functions take quadratic time on a hostile text.
MAX_ANSWER_CHARS = 50_000
LIST_MARKER = re.compile(r"^\s*(?:[-*•·–]|\(?\d{1,2}[.)])\s+")
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(
    r"^(?:image |short |photo )?(?:caption|description|answer|text|output|response)\s*:\s*",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(r"^(?:sure|certainly|of course|okay|here(?:'s| is| are))\b.*:$", re.I)
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("`", "`"))
# Terminal sequences (colours, cursor movements, window titles) and control characters other than
# white space.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)]*(?=\s|$)")


def tidy(raw: str, is_complete: bool = True) -> str:
    """Returns the text of an answer, on one line.

    Removes a JSON object around a property "text", a reasoning model's thoughts, an introduction
    ("Sure! Here is a caption:"), labels ("Caption:"), the number or bullet before the first line,
    Markdown emphasis, surrounding quotes, line breaks and terminal sequences. Of an answer that was
    cut (`is_complete` false) only complete sentences are kept, "" if there is none.
    """
    text = _THOUGHTS.sub("", raw).strip()
    if text.startswith("{"):
        text = _text_of_json(text)
    text = as_unicode(_CONTROL.sub("", text))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and _INTRODUCTION.match(lines[0]):
        lines = lines[1:]
    text = " ".join(lines)
    text = LIST_MARKER.sub("", text)
    text = re.sub(r"(\*\*|__)(.+?)\1", r"\2", text)
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()
    text = _without_quotes(_LABEL.sub("", _without_quotes(text)))
    if not is_complete:
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        text = text[: ends[-1]] if ends else ""
    return text


def as_unicode(text: str) -> str:
    """Returns `text` with lone surrogates, which JSON can hold and a table cannot, replaced by
    U+FFFD."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _text_of_json(text: str) -> str:
    try:
        found = json.loads(text).get("text")
    # truncated JSON, a number with too many digits, too deeply nested brackets
    except (ValueError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _without_quotes(text: str) -> str:
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        if (
            len(text) > 2
            and text.startswith(opening)
            and text.endswith(closing)
            and closing not in inner
        ):
            return inner.strip()
    return text
