"""All kinds of bad input, and the page that says what becomes of them.

`python -m tests.badinput.generator` writes their tables into docs/bad_input.md.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.badinput import (
    answers,
    broken_pictures,
    configs,
    names,
    pictures,
    places,
    stored,
    tables,
)
from tests.badinput.kinds import Kind

PAGE = Path(__file__).parents[2] / "docs" / "bad_input.md"
BEGIN, END = "<!-- kinds: begin -->", "<!-- kinds: end -->"

KINDS: Mapping[str, Sequence[Kind]] = {
    "Pictures that are unusual and fine": pictures.KINDS,
    "Pictures that are broken": broken_pictures.KINDS,
    "Other things in the place of a picture": [*places.KINDS, *places.PATHS],
    "Names": [*names.FILE_NAMES, *names.CLASS_NAMES],
    "Tables and folders": tables.KINDS,
    "Answers of a language model": answers.ANSWERS,
    "Imported texts": answers.FILES,
    "Artifacts, states, weights": [*stored.ARTIFACTS, *stored.STATES, *stored.WEIGHTS],
    "Settings": configs.KINDS,
}


def page_tables() -> str:
    """The tables of the page, one per group."""
    lines = []
    for group, kinds in KINDS.items():
        lines += [f"### {group}", "", "| kind | what happens |", "| --- | --- |"]
        lines += [f"| {_cell(kind.name)} | {_cell(kind.happens)} |" for kind in kinds]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")


def write_page(text: str) -> str:
    """`text`, a page, with the tables as they are now."""
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    inner = f"{BEGIN}\n{page_tables()}\n{END}"
    return re.sub(pattern, lambda _: inner, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text()))
