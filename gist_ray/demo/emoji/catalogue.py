"""Which emoji there are, by OpenMoji's table, and which file of each vendor shows them.

An emoji is known by its hex code points without FE0F: vendors disagree on whether it belongs to
the name of a file.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = ("extras-openmoji", "extras-unicode", "flags", "component")
"""Groups of OpenMoji that are no emoji of every vendor, or nothing that a picture of 64 pixels
and a name have in common."""

_PERSON = re.compile(r"^(man|woman|person) ")


@dataclass(frozen=True)
class Emoji:
    """One emoji, whoever draws it."""

    code: str
    """Hex code points without FE0F: "1f468-1f3fd-200d-1f692"."""
    name: str
    """CLDR's name: "man firefighter: medium skin tone"."""
    tags: tuple[str, ...]
    """CLDR's keywords; toned emoji have none."""
    group: str
    subgroup: str
    """CLDR's: "animal-bird"."""
    is_toned: bool

    @property
    def base_name(self) -> str:
        """The name without skin tone, hair or direction: "man firefighter"."""
        return self.name.partition(":")[0]

    @property
    def role(self) -> str:
        """What a person is or does, whoever it is: "firefighter"."""
        return _PERSON.sub("", self.base_name)


def code_of(hex_code: str) -> str:
    """The code of an emoji by whatever a vendor calls it."""
    return "-".join(part for part in hex_code.lower().split("-") if part != "fe0f")


def read_catalogue(openmoji: Path) -> list[Emoji]:
    """The emoji of the package `openmoji`; without flags, extras, and couples of two skin tones."""
    rows = json.loads((openmoji / "data/openmoji.json").read_text(encoding="utf-8"))
    emoji = {
        code_of(row["hexcode"]): Emoji(
            code=code_of(row["hexcode"]),
            name=row["annotation"],
            tags=tuple(tag.strip() for tag in row["tags"].split(",") if tag.strip()),
            group=row["group"],
            subgroup=row["subgroups"],
            is_toned=bool(row["skintone"]),
        )
        for row in rows
        if row["group"] not in LEFT_OUT and row["skintone_combination"] != "multiple"
    }
    return list(emoji.values())


def picture_files(packages: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """{vendor: {code: file}} of what the packages hold."""
    files = {
        "openmoji": _by_name(packages["openmoji"] / "color/svg"),
        "fluent": _by_name(packages["fluent"] / "assets"),
    }
    for vendor in ("google", "twitter"):
        files[vendor] = _of_datasource(packages[vendor], vendor)
    return files


def gendered_roles(emoji: Iterable[Emoji]) -> list[str]:
    """Roles of people that come as man, woman and person, in alphabetical order."""
    forms: dict[str, set[str]] = defaultdict(set)
    for one in emoji:
        if one.group == "people-body":
            found = _PERSON.match(one.base_name)
            forms[one.role].add(found[1] if found else "person")
    return sorted(role for role, found in forms.items() if len(found) == 3)


def _by_name(folder: Path) -> dict[str, Path]:
    return {code_of(file.stem): file for file in sorted(folder.glob("*.svg"))}


def _of_datasource(package: Path, vendor: str) -> dict[str, Path]:
    """By the table of an emoji-datasource package; a file that is not there is left out."""
    folder = package / "img" / vendor / "64"
    rows = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    variants = [*rows, *(v for row in rows for v in row.get("skin_variations", {}).values())]
    named = {code_of(row["unified"]): folder / row["image"] for row in variants}
    return {code: file for code, file in named.items() if file.is_file()}
