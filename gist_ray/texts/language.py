"""Detects texts that are certainly not in the language of their collection.

The detector is py3langid. It gets the running words only, since names, model designations and lists
of noun phrases occur in texts of any language.
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

NAMES: dict[str, str] = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew",
    "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}
# fmt: on

MIN_RUNNING_WORDS = 5
"""A text with fewer running words is not judged; our choice."""

MIN_PHRASE_WORDS = 4
"""A phrase between punctuation with fewer words is an item of a list; our choice."""

MAX_PROBABILITY = 0.01
"""The expected language is ruled out if its probability is at most this."""

_PHRASE_END = re.compile(r"[.,;:!?()\n]|\s[-–—]\s")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def is_other_language(text: str, language: str) -> bool:
    """Returns whether a text is certainly not in `language` (ISO 639-1). A text with too few
    running words to judge is not."""
    judged = _judged_part(text)
    return bool(judged) and dict(_identifier().rank(judged))[language] <= MAX_PROBABILITY


def likeliest_language(text: str) -> str:
    """Returns the code of the language that a text which `is_other_language` could judge is in most
    likely."""
    code: str = _identifier().rank(_judged_part(text))[0][0]
    return code


def _judged_part(text: str) -> str:
    return text if _has_no_spaces(text) else _running_words(text)


def _running_words(text: str) -> str:
    """Returns the words without a capital initial or a digit, of all phrases that are not items of
    a list; "" if there are fewer than MIN_RUNNING_WORDS."""
    running: list[str] = []
    for phrase in _PHRASE_END.split(text):
        words = _WORD.findall(phrase)
        if len(words) >= MIN_PHRASE_WORDS:
            running += [word for word in words if _is_plain(word)]
    return " ".join(running) if len(running) >= MIN_RUNNING_WORDS else ""


def _is_plain(word: str) -> bool:
    return not word[0].isupper() and not any(character.isdigit() for character in word)


def _has_no_spaces(text: str) -> bool:
    """Returns whether most letters are of a script without spaces between words, such as
    Chinese."""
    letters = [character for character in text if character.isalpha()]
    return sum(character >= "\u0e00" for character in letters) * 2 > len(letters)


@cache
def _identifier() -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(get_args(Language)))
    return identifier
