"""Checks of one text by itself: each a pure function that says whether something is wrong."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, get_args

from gist_ray.texts.names import normal_form
from gist_ray.texts.tidy import LIST_MARKER

# Below this many words a language detector guesses (it takes "reddish-purple discoloration" for
# Italian), and even on longer noun phrases it is to be believed only when it is sure.
MIN_WORDS_FOR_LANGUAGE = 8
MIN_LANGUAGE_CONFIDENCE = 0.99
# A short text may well say "a white bar" twice.
MIN_WORDS_FOR_CIRCLES = 12
# fmt: off
Language = Literal[
    "ar", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it",
    "ja", "ko", "nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh",
]
_ENGLISH_FUNCTION_WORDS = frozenset([
    "a", "an", "and", "are", "as", "at", "by", "for", "from", "has", "have", "in", "is", "it",
    "its", "of", "on", "or", "that", "the", "their", "this", "to", "which", "with",
])
# fmt: on

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_URL = re.compile(r"https?://|\bwww\.|\b[\w-]+\.(?:com|org|net|edu|html?)\b", re.IGNORECASE)
_FILLER_ANYWHERE = re.compile(
    r"\bas an? (?:ai|artificial|large language|language model)\b|\blanguage model\b"
    r"|\bi(?:'m| am) (?:sorry|unable|not able|happy to)\b"
    r"|\bi (?:cannot|can't|can not|apologi[sz]e)\b"
    r"|\bi (?:do not|don't) have (?:access|information|enough)\b|\blet me know\b|\bfeel free\b"
    r"|\bhope this helps\b|\bif you (?:need|have any|would like)\b"
    r"|\bplease (?:provide|note|specify)\b",
    re.IGNORECASE,
)
_FILLER_AT_START = re.compile(
    r"^(?:sure|certainly|of course|absolutely|okay|ok|great question|thank you|sorry)\b\s*[,!.:]"
    r"|^here(?:'s| is| are)\b.*\b(?:caption|description|sentence|example|text|answer)s?\b"
    r"|^(?:caption|description|answer|note|notes|question|user|assistant)\s*:",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(text.casefold())


def is_empty(text: str) -> bool:
    """No text, or no word in it."""
    return not words(text)


def has_url(text: str) -> bool:
    return _URL.search(text) is not None


def is_chat_filler(text: str) -> bool:
    """The model talks to the user, or refuses, instead of describing."""
    return bool(_FILLER_AT_START.search(text) or _FILLER_ANYWHERE.search(text))


def is_list_remnant(text: str, raw: str) -> bool:
    """A list instead of a text, or the line that introduces one."""
    markers = sum(LIST_MARKER.match(line) is not None for line in raw.splitlines())
    return markers > 1 or LIST_MARKER.match(text) is not None or text.endswith(":")


def is_repetitive(text: str) -> bool:
    """The model went round in circles: most runs of three words occur again."""
    found = words(text)
    runs = list(zip(found, found[1:], found[2:], strict=False))
    return len(found) >= MIN_WORDS_FOR_CIRCLES and 2 * len(set(runs)) < len(runs)


def is_other_language(text: str, language: str) -> bool:
    """The text is long enough to judge, and surely not in `language` (ISO 639-1)."""
    found = words(text)
    # Chinese, Japanese and Thai have no spaces between words, and are told by their letters.
    if len(found) < MIN_WORDS_FOR_LANGUAGE and _is_alphabetic(text):
        return False
    # Saves most of the detector's millisecond: nothing but English has so many of these words.
    if language == "en" and _share_of_function_words(found) >= 0.2:
        return False
    guess, confidence = _identifier().classify(text)
    return guess != language and float(confidence) >= MIN_LANGUAGE_CONFIDENCE


def _is_alphabetic(text: str) -> bool:
    """Most letters are below the scripts that write without spaces."""
    letters = [character for character in text if character.isalpha()]
    return sum(character < "\u0e00" for character in letters) * 2 >= len(letters)


def _share_of_function_words(found: list[str]) -> float:
    return sum(word in _ENGLISH_FUNCTION_WORDS for word in found) / max(1, len(found))


@cache
def _identifier() -> Any:
    # Takes a second to unpack its model, so only when a text needs it.
    from langid.langid import LanguageIdentifier, model

    identifier = LanguageIdentifier.from_modelstring(model, norm_probs=True)
    identifier.set_languages(list(get_args(Language)))
    return identifier


def names_class(text: str, class_name: str) -> bool:
    """The class's name stands in the text, in whatever spelling."""
    return f" {normal_form(class_name)} " in f" {normal_form(text)} "


def contradictions(
    text: str, class_name: str, facts: Iterable[str], vocabulary: Iterable[str]
) -> list[str]:
    """The words of `vocabulary` that the text uses and the facts (their names and values) do not.

    Words of the class name are no statement: a "Cream-spotted Skimmer" may be red.
    """
    own_words = set(words(normal_form(text).replace(normal_form(class_name), " ")))
    known = {word for fact in facts for word in words(fact)}
    return sorted(word for word in vocabulary if word in own_words and word not in known)
