"""Packages made by hand: two classes of nine things, a role of people in three genders and two
tones, and what has to be left out."""

import json
from pathlib import Path

import pytest
from PIL import Image

NUM_THINGS = 9
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect {} fill="{}"/></svg>'


def _row(code: str, name: str, group: str, subgroup: str, **others: str) -> dict[str, str]:
    empty = {"tags": "", "skintone": "", "skintone_combination": ""}
    names = {"hexcode": code, "annotation": name, "group": group, "subgroups": subgroup}
    return {**empty, **names, **others}


def _rows() -> list[dict[str, str]]:
    rows = [
        _row(f"1F{kind}0{n}", f"{word} {n}", group, subgroup, tags=f"{word}, tag {n}")
        for kind, word, group, subgroup in (
            ("4", "bird", "animals-nature", "animal-bird"),
            ("5", "fruit", "food-drink", "food-fruit"),
        )
        for n in range(NUM_THINGS)
    ]
    for gender, sign in (("", ""), ("man ", "-200D-2642-FE0F"), ("woman ", "-200D-2640-FE0F")):
        for role, start in (("diver", "1F600"), ("farmer", "1F601")):
            rows.append(_row(f"{start}{sign}", f"{gender}{role}", "people-body", "person-sport"))
            toned = f"{start}-1F3FD{sign}"
            tone = {"skintone": "3", "skintone_combination": "single"}
            name = f"{gender}{role}: medium skin tone"
            rows.append(_row(toned, name, "people-body", "person-sport", **tone))
    rows.append(_row("1F1E6", "flag: Andorra", "flags", "country-flag"))
    two = {"skintone": "1,2", "skintone_combination": "multiple"}
    rows.append(_row("1F46B-1F3FB", "couple", "people-body", "family", **two))
    rows.append(_row("2764-FE0F", "red heart", "smileys-emotion", "heart"))
    return rows


def _colour(number: int, vendor: str) -> tuple[int, int, int]:
    shade = {"openmoji": 0, "google": 60, "twitter": 120, "fluent": 180}[vendor]
    return (shade, 5 * number, 255 - 5 * number)


def _svg(folder: Path, name: str, number: int, vendor: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    red, green, blue = _colour(number, vendor)
    shape = 'x="2" y="2" width="4" height="4"'
    content = SVG.format(shape, f"rgb({red},{green},{blue})")
    (folder / f"{name}.svg").write_text(content)


@pytest.fixture
def tiny_packages(tmp_path: Path) -> dict[str, Path]:
    """{vendor: folder} laid out as the real packages are. Google lacks the last fruit; Twitter
    draws bird 1 exactly as bird 0."""
    rows = _rows()
    folders = {v: tmp_path / v for v in ("openmoji", "google", "twitter", "fluent")}
    for number, row in enumerate(rows):
        _svg(folders["openmoji"] / "color/svg", row["hexcode"], number, "openmoji")
        plain = row["hexcode"].lower().replace("-fe0f", "")
        _svg(folders["fluent"] / "assets", plain, number, "fluent")
    (folders["openmoji"] / "data").mkdir()
    (folders["openmoji"] / "data/openmoji.json").write_text(json.dumps(rows))
    (folders["openmoji"] / "LICENSE.txt").write_text("CC BY-SA 4.0")
    for vendor in ("google", "twitter"):
        folder = folders[vendor] / "img" / vendor / "64"
        folder.mkdir(parents=True)
        table = []
        for number, row in enumerate(rows):
            code = row["hexcode"]
            file = f"{code.lower()}.png"
            if vendor == "google" and row["annotation"] == f"fruit {NUM_THINGS - 1}":
                table.append({"unified": code, "image": file})
                continue
            same = 0 if vendor == "twitter" and number == 1 else number
            image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
            image.paste(_colour(same, vendor), (16, 16, 48, 48))
            image.save(folder / file)
            if "-1F3FD" in code:
                table[-1]["skin_variations"] = {"1F3FD": {"unified": code, "image": file}}
            else:
                table.append({"unified": code, "image": file})
        (folders[vendor] / "emoji.json").write_text(json.dumps(table))
    return folders
