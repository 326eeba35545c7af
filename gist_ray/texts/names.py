"""Class names that are written differently and mean the same."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache


# Cleaning asks for every text's form several times.
@lru_cache(maxsize=200_000)
def normal_form(name: str) -> str:
    """What two spellings of a class name have in common.

    Case, hyphens, underscores, slashes, apostrophes, surrounding white space (GIST's own files
    have keys that end in a newline) and a leading number ("001.Black_footed_Albatross") do not
    count.
    """
    name = unicodedata.normalize("NFKC", name).strip().casefold()
    name = re.sub(r"^\d+\.(?=\D)", "", name)
    name = re.sub(r"['’`]", "", name)
    return re.sub(r"[\W_]+", " ", name).strip()


def index_by_normal_form(names: Iterable[str]) -> dict[str, list[str]]:
    """{normal form: the names that have it, in their order}."""
    index: dict[str, list[str]] = {}
    for name in names:
        index.setdefault(normal_form(name), []).append(name)
    return index
