"""Builds the folder of the emoji set from the packages.

images/<vendor>/<code>.png      64 x 64 on white
manifest.parquet                the data set: data=manifest
texts.json                      {class: the names of its members}: texts.import_from
captions.parquet                pictures with captions: gist-ray pretrain captions=
LICENCES.md, licences/          the makers of the pictures and their licences
counts.json                     the numbers of pictures, classes and rows
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gist_ray.demo.emoji.captions import captions
from gist_ray.demo.emoji.catalogue import Emoji, picture_files, read_catalogue
from gist_ray.demo.emoji.config import EmojiConfig
from gist_ray.demo.emoji.drawing import draw
from gist_ray.demo.emoji.packages import PACKAGES, PAPERS
from gist_ray.demo.emoji.split import EmojiSplit, split_emoji
from gist_ray.store import storage

REPEATS = 3
"""Number of rows of a pretraining picture whose emoji has no variants with skin tones. The variants
of people and hands are three fifths of all pictures, and have one row each."""

VAL_EVERY = 8
"""One in so many emoji has a val picture, of one vendor, that selects the epoch of the
pretraining."""


def build_emoji_set(packages: Mapping[str, Path], config: EmojiConfig, out: Path) -> dict[str, Any]:
    """Writes the folder. Returns the content of its counts.json."""
    emoji = read_catalogue(packages["openmoji"])
    split = split_emoji(emoji, config.seed)
    files = picture_files(packages)
    drawn, missing = draw_all(emoji, files, image_px=config.image_px, out=out)
    pairs = caption_rows(drawn, split, config)
    trained = {row["image"] for row in pairs if row["split"] == "train"}
    manifest, num_twins = manifest_rows(drawn, split, config, trained=trained)
    pd.DataFrame(manifest).to_parquet(out / "manifest.parquet")
    pd.DataFrame(pairs).to_parquet(out / "captions.parquet")
    names = {name: [one.name for one in members] for name, members in split.classes.items()}
    storage.write_json(str(out / "texts.json"), names)
    write_licences(packages, out)
    counts = {
        "pictures": dict(Counter(row["vendor"] for row in drawn)),
        "missing": missing,
        "classes": len(split.classes),
        "emoji_in_classes": sum(map(len, split.classes.values())),
        "identical_pictures_left_out": num_twins,
        "manifest": dict(Counter(row["split"] for row in manifest)),
        "captions": dict(Counter(row["split"] for row in pairs)),
    }
    storage.write_json(str(out / "counts.json"), counts)
    return counts


def draw_all(
    emoji: Sequence[Emoji], files: Mapping[str, Mapping[str, Path]], *, image_px: int, out: Path
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Draws every available picture. Returns them as {emoji, vendor, path below `out`, hash of the
    pixels}, and the number of missing ones by vendor."""
    drawn = []
    missing: Counter[str] = Counter()
    for vendor, of_vendor in files.items():
        (out / "images" / vendor).mkdir(parents=True, exist_ok=True)
        for one in emoji:
            if one.code not in of_vendor:
                missing[vendor] += 1
                continue
            image = draw(of_vendor[one.code], image_px)
            path = f"images/{vendor}/{one.code}.png"
            image.save(out / path)
            pixels = hashlib.sha256(image.tobytes()).hexdigest()
            drawn.append({"emoji": one, "vendor": vendor, "path": path, "pixels": pixels})
    return drawn, dict(missing)


def manifest_rows(
    drawn: Iterable[Mapping[str, Any]],
    split: EmojiSplit,
    config: EmojiConfig,
    *,
    trained: Collection[str],
) -> tuple[list[dict[str, Any]], int]:
    """Returns the pictures of the classes' members by the training vendors and the test vendor, and
    the number of pictures left out because the vendor has an identical one.

    trained: paths of the pictures of the pretraining's train split.
    """
    class_of = {one.code: name for name, members in split.classes.items() for one in members}
    rows = []
    seen: set[tuple[str, str]] = set()
    num_twins = 0
    for row in drawn:
        one, vendor = row["emoji"], row["vendor"]
        if one.code not in class_of or vendor not in (*config.train, config.test):
            continue
        if (vendor, row["pixels"]) in seen:
            num_twins += 1
            continue
        seen.add((vendor, row["pixels"]))
        part = "test" if vendor == config.test else "val" if one.code in split.val else "train"
        known = "nothing" if one.code in split.unseen else "its name"
        if row["path"] in trained:
            known = "the picture"
        rows.append(
            {
                "image_id": f"{vendor}-{one.code}",
                "image": row["path"],
                "class_name": class_of[one.code],
                "split": part,
                "vendor": vendor,
                "name": one.name,
                "pretraining_saw": known,
            }
        )
    return rows, num_twins


def caption_rows(
    drawn: Iterable[Mapping[str, Any]], split: EmojiSplit, config: EmojiConfig
) -> list[dict[str, Any]]:
    """Returns the rows of a caption table: train and val by the pretraining vendors, test by the
    test vendor.

    A row that occurs several times is used several times per epoch.
    """
    rows = []
    with_tones = {row["emoji"].base_name for row in drawn if row["emoji"].is_toned}
    numbers = {code: number for number, code in enumerate({row["emoji"].code: 0 for row in drawn})}
    for row in drawn:
        one, vendor = row["emoji"], row["vendor"]
        pair = {"image": row["path"], "captions": captions(one)}
        if vendor == config.test:
            if not one.is_toned:
                seen = "never seen" if one.code in split.unseen else "seen in training"
                rows.append({**pair, "split": "test", "group": f"names {seen}"})
        elif vendor in config.pretrain and one.code not in split.unseen:
            if vendor == _val_vendor(one, numbers[one.code], config.pretrain):
                rows.append({**pair, "split": "val", "group": ""})
            else:
                times = 1 if one.base_name in with_tones else REPEATS
                rows += [{**pair, "split": "train", "group": ""}] * times
    return rows


def _val_vendor(emoji: Emoji, number: int, vendors: Sequence[str]) -> str:
    """Returns the vendor whose picture of an emoji is val, "" for most emoji. The vendors take
    turns."""
    if emoji.is_toned or number % VAL_EVERY:
        return ""
    return vendors[number // VAL_EVERY % len(vendors)]


def write_licences(packages: Mapping[str, Path], out: Path) -> None:
    """Writes LICENCES.md with the makers of the pictures, and the packages' own licence files."""
    lines = [
        "# Licences",
        "",
        "The pictures were scaled down on white and are otherwise as their makers drew them.",
        "The names and keywords are those of the Unicode CLDR.",
        "",
    ]
    for vendor, folder in packages.items():
        lines.append(
            f"- `images/{vendor}`: {PACKAGES[vendor].credit} (npm `{PACKAGES[vendor].spec}`)"
        )
        target = out / "licences" / vendor
        target.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            if file.is_file() and file.name.startswith(PAPERS):
                shutil.copy(file, target / file.name)
    (out / "LICENCES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
