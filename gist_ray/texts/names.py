"""Comparison of class names independent of their spelling."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


# Cleaning computes the form of every text several times.
@lru_cache(maxsize=200_000)
def normal_form(name: str) -> str:
    """Returns the form that all spellings of a class name share.

    It ignores case, hyphens, underscores, slashes, apostrophes, surrounding white space (keys of
    GIST's files end in a newline) and a leading number ("001.Black_footed_Albatross").
    """
    name = unicodedata.normalize("NFKC", name).strip().casefold()
    name = re.sub(r"^\d+\.(?=\D)", "", name)
    name = re.sub(r"['’`]", "", name)
    return re.sub(r"[\W_]+", " ", name).strip()


def index_by_normal_form(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns {normal form: the names that have it, in their order}."""
    index: dict[str, list[str]] = {}
    for name in names:
        index.setdefault(normal_form(name), []).append(name)
    return index
