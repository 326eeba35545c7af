"""Reads the emoji of OpenMoji's table, and finds each vendor's file of them.

An emoji is identified by its hex code points without FE0F, since only some vendors include FE0F in
the names of files.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = ("extras-openmoji", "extras-unicode", "flags", "component")
"""Groups of OpenMoji that are left out: not every vendor has them, or a picture of 64 pixels does
not show what the name says."""

_PERSON = re.compile(r"^(man|woman|person) ")


@dataclass(frozen=True)
class Emoji:
    """An emoji, independent of the vendor."""

    code: str
    """Hex code points without FE0F: "1f468-1f3fd-200d-1f692"."""
    name: str
    """CLDR's name: "man firefighter: medium skin tone"."""
    tags: tuple[str, ...]
    """CLDR's keywords; emoji with a skin tone have none."""
    group: str
    subgroup: str
    """CLDR's subgroup: "animal-bird"."""
    is_toned: bool

    @property
    def base_name(self) -> str:
        """The name without skin tone, hair or direction: "man firefighter"."""
        return self.name.partition(":")[0]

    @property
    def role(self) -> str:
        """The base name of a person without man, woman or person: "firefighter"."""
        return _PERSON.sub("", self.base_name)


def code_of(hex_code: str) -> str:
    """Returns the code of an emoji from a vendor's code, in any case and with or without FE0F."""
    return "-".join(part for part in hex_code.lower().split("-") if part != "fe0f")


def read_catalogue(openmoji: Path) -> list[Emoji]:
    """Returns the emoji of the package `openmoji`, without the groups LEFT_OUT and without couples
    of two skin tones."""
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
    """Returns {vendor: {code: file}} of the pictures in the packages."""
    files = {
        "openmoji": _by_name(packages["openmoji"] / "color/svg"),
        "fluent": _by_name(packages["fluent"] / "assets"),
    }
    for vendor in ("google", "twitter"):
        files[vendor] = _of_datasource(packages[vendor], vendor)
    return files


def gendered_roles(emoji: Iterable[Emoji]) -> list[str]:
    """Returns the roles that exist as man, woman and person, in alphabetical order."""
    forms: dict[str, set[str]] = defaultdict(set)
    for one in emoji:
        if one.group == "people-body":
            found = _PERSON.match(one.base_name)
            forms[one.role].add(found[1] if found else "person")
    return sorted(role for role, found in forms.items() if len(found) == 3)


def _by_name(folder: Path) -> dict[str, Path]:
    return {code_of(file.stem): file for file in sorted(folder.glob("*.svg"))}


def _of_datasource(package: Path, vendor: str) -> dict[str, Path]:
    """Returns {code: file} by the table of an emoji-datasource package, without missing files."""
    folder = package / "img" / vendor / "64"
    rows = json.loads((package / "emoji.json").read_text(encoding="utf-8"))
    variants = [*rows, *(v for row in rows for v in row.get("skin_variations", {}).values())]
    named = {code_of(row["unified"]): folder / row["image"] for row in variants}
    return {code: file for code, file in named.items() if file.is_file()}
