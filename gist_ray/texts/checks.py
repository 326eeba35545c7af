"""Checks of a single text. Each is a pure function that returns whether it finds a defect."""

import re
from collections.abc import Iterable

from gist_ray.texts.names import normal_form
from gist_ray.texts.tidy import LIST_MARKER

# A short text may repeat "a white bar" without being a loop.
MIN_WORDS_FOR_LOOP = 12
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
    """Returns the words of a text in lower case."""
    return _WORD.findall(text.casefold())


def is_empty(text: str) -> bool:
    """Returns whether a text has no word."""
    return not words(text)


def has_url(text: str) -> bool:
    return _URL.search(text) is not None


def is_chat_filler(text: str) -> bool:
    """Returns whether the model addresses the user or refuses, instead of describing."""
    return bool(_FILLER_AT_START.search(text) or _FILLER_ANYWHERE.search(text))


def is_list_remnant(text: str, raw: str) -> bool:
    """Returns whether a text is a list or the line that introduces one. raw: the whole answer."""
    markers = sum(LIST_MARKER.match(line) is not None for line in raw.splitlines())
    return markers > 1 or LIST_MARKER.match(text) is not None or text.endswith(":")


def is_repetitive(text: str) -> bool:
    """Returns whether the model looped: most runs of three words occur more than once."""
    found = words(text)
    runs = list(zip(found, found[1:], found[2:], strict=False))
    return len(found) >= MIN_WORDS_FOR_LOOP and 2 * len(set(runs)) < len(runs)


def names_class(text: str, class_name: str) -> bool:
    """Returns whether a text contains the class's name, in any spelling (`normal_form`)."""
    return f" {normal_form(class_name)} " in f" {normal_form(text)} "


def contradictions(
    text: str, class_name: str, *, facts: Iterable[str], vocabulary: Iterable[str]
) -> list[str]:
    """Returns the words of `vocabulary` that the text uses and the facts (their names and values)
    do not.

    Words of the class name are not counted: a "Cream-spotted Skimmer" may be red.
    """
    own_words = set(words(normal_form(text).replace(normal_form(class_name), " ")))
    known = {word for fact in facts for word in words(fact)}
    return sorted(word for word in vocabulary if word in own_words and word not in known)
