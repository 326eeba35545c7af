"""Classes whose names look alike: one class that was written in two ways, as a rule."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.reading import ClassEntry

APOSTROPHES = "'`´ʹʻʼʽˈ‘’‛′＇"
QUOTES = '"“”„‟″«»'
INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
SPELLINGS = str.maketrans(
    {**dict.fromkeys(APOSTROPHES, "'"), **dict.fromkeys(QUOTES, '"'), **dict.fromkeys(INVISIBLE)}
)


def look_of(name: str) -> str:
    """Returns the name as a reader takes it in: without case, kinds of dashes, apostrophes, quotes
    and spaces, invisible characters, and the zeros before a number."""
    plain = unicodedata.normalize("NFKC", name.translate(SPELLINGS)).casefold()
    signed = re.sub(r"(?<!\S)[-\u2212](?=\d)", "minus ", plain)  # the label -1 is not 1
    words = "".join(" " if _is_gap(character) else character for character in signed).split()
    return " ".join(re.sub(r"^0+(?=\d+$)", "", word) for word in words)


def _is_gap(character: str) -> bool:
    """Returns whether a character is a dash, an underscore, a minus or a space."""
    return unicodedata.category(character) in ("Pd", "Pc", "Zs") or character == "\u2212"


def alike_labels(classes: Sequence[ClassEntry], names: Sequence[str]) -> list[list[int]]:
    """Returns the labels of classes that look alike, group by group.

    names: the display name of each label. Two labels may have the very same name, as in ImageNet.
    """
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for label, (entry, name) in enumerate(zip(classes, names, strict=True)):
        for kind, spelling in (("key", entry.keys[0]), ("name", name)):
            found[f"{kind} {look_of(spelling)}"].setdefault(spelling, label)
    groups = {tuple(sorted(same.values())) for same in found.values() if len(same) > 1}
    return [list(group) for group in sorted(groups)]


def alike_problems(
    root: str, classes: Sequence[ClassEntry], names: Sequence[str], *, places: Mapping[int, str]
) -> list[str]:
    """Returns a problem for each group of classes that look alike.

    places: {label: where its first image stands}.
    """
    problems = []
    for group in alike_labels(classes, names):
        spellings = [names[label] for label in group]
        if len(set(spellings)) < len(spellings):
            spellings = [classes[label].keys[0] for label in group]
        # what cannot be told apart on a screen can be by its escaped characters
        show = repr if all(map(str.isascii, spellings)) else ascii
        shown = ", ".join(
            f"{show(spelling)} ({places[label]})" if places.get(label) else show(spelling)
            for label, spelling in zip(group, spellings, strict=True)
        )
        problems.append(
            f"{root}: the classes {shown} look alike. Rename one, or make them one by "
            "join_alike=true."
        )
    return problems


def first_places(images: pa.Table) -> dict[int, str]:
    """Returns {label: line, row or path of its first image} of an IMAGES table."""
    rows = images.filter(pc.is_valid(images.column("label")))
    found = rows.group_by("label", use_threads=False).aggregate(
        [("path", "first"), ("where", "first")]
    )
    return {row["label"]: row["where_first"] or row["path_first"] for row in found.to_pylist()}


def joined(
    images: pa.Table, classes: Sequence[ClassEntry], names: Sequence[str]
) -> tuple[pa.Table, list[ClassEntry], list[str]]:
    """Returns images, classes and names with one label, the first, for classes that look alike."""
    first = list(range(len(classes)))
    for group in alike_labels(classes, names):
        smallest = min(first[label] for label in group)
        members = {first[label] for label in group}
        first = [smallest if one in members else one for one in first]
    kept = sorted(set(first))
    new_label = {label: new for new, label in enumerate(kept)}
    label_of = pa.array([new_label[one] for one in first], pa.int32())
    at = images.schema.get_field_index("label")
    labels = label_of.take(images.column("label").combine_chunks())
    images = images.set_column(at, images.schema.field(at), labels)
    return images, [classes[label] for label in kept], [names[label] for label in kept]
