"""Whether a text is surely in another language than its collection's.

The detector is py3langid. It reads the running words alone: names, model designations and lists of
noun phrases occur in texts of any language and say nothing about theirs.
"""

import re
from functools import cache
from typing import Literal, get_args

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# fmt: off
Language = Literal[
    "ar", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
    "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh",
]
# fmt: on

MIN_RUNNING_WORDS = 5
"""Fewer are not judged; our choice."""

MIN_PHRASE_WORDS = 4
"""Phrases between punctuation that are shorter are items of a list; our choice."""

MAX_PROBABILITY = 0.01
"""A text is surely in another language if its own language is no more probable than this."""

_PHRASE_END = re.compile(r"[.,;:!?()\n]|\s[-–—]\s")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def is_other_language(text: str, language: str) -> bool:
    """The text has enough running words to judge, and is surely not in `language` (ISO 639-1)."""
    judged = text if _has_no_spaces(text) else _running_words(text)
    return bool(judged) and dict(_identifier().rank(judged))[language] <= MAX_PROBABILITY


def _running_words(text: str) -> str:
    """The words that begin with no capital letter and hold no digit, of all phrases but the items
    of lists; "" if they are too few to judge."""
    running: list[str] = []
    for phrase in _PHRASE_END.split(text):
        words = _WORD.findall(phrase)
        if len(words) >= MIN_PHRASE_WORDS:
            running += [word for word in words if _is_plain(word)]
    return " ".join(running) if len(running) >= MIN_RUNNING_WORDS else ""


def _is_plain(word: str) -> bool:
    return not word[0].isupper() and not any(character.isdigit() for character in word)


def _has_no_spaces(text: str) -> bool:
    """Most letters are of scripts written without spaces between words, such as Chinese."""
    letters = [character for character in text if character.isalpha()]
    return sum(character >= "\u0e00" for character in letters) * 2 > len(letters)


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(get_args(Language)))
    return identifier
