"""Splits the emoji: those of each class, those left out of pretraining, and those of val."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gist_ray.demo.emoji.catalogue import Emoji, gendered_roles

CLASS_GROUPS = ("animals-nature", "food-drink", "travel-places", "activities", "objects")
"""Groups whose subgroups are classes: things, not faces, people or signs."""

MIN_MEMBERS = 9
NUM_UNSEEN_ROLES = 24
UNSEEN_SHARE = 0.1
VAL_SHARE = 0.2


@dataclass(frozen=True)
class EmojiSplit:
    """A split of the emoji, which is the same for all vendors."""

    classes: dict[str, list[Emoji]]
    """{class name: members}, a class per CLDR subgroup of at least MIN_MEMBERS."""

    unseen: set[str]
    """Codes left out of pretraining: a tenth of each class, and 24 roles of people with all their
    variants. A model can know such an emoji only from the parts of its name."""

    val: set[str]
    """Codes of class members whose pictures are val and never train."""


def split_emoji(emoji: Sequence[Emoji], seed: int) -> EmojiSplit:
    """Returns the split, which depends only on the catalogue and the seed."""
    classes = _classes(emoji)
    roles = gendered_roles(emoji)
    chosen = set(_drawn(roles, f"{seed}/roles", min(NUM_UNSEEN_ROLES, len(roles) // 2)))
    unseen = {one.code for one in emoji if one.group == "people-body" and one.role in chosen}
    val: set[str] = set()
    for name, members in classes.items():
        codes = [one.code for one in members]
        unseen |= set(_drawn(codes, f"{seed}/unseen/{name}", round(UNSEEN_SHARE * len(codes))))
        val |= set(_drawn(codes, f"{seed}/val/{name}", max(1, round(VAL_SHARE * len(codes)))))
    return EmojiSplit(classes, unseen, val)


def _classes(emoji: Iterable[Emoji]) -> dict[str, list[Emoji]]:
    members: dict[str, list[Emoji]] = defaultdict(list)
    for one in emoji:
        if one.group in CLASS_GROUPS:
            members[class_name(one.subgroup)].append(one)
    return {name: found for name, found in members.items() if len(found) >= MIN_MEMBERS}


def class_name(subgroup: str) -> str:
    """Returns a subgroup as a class name: "animal-bird" becomes "animal bird"."""
    return subgroup.replace("-", " ")


def _drawn(values: Sequence[str], purpose: str, number: int) -> list[str]:
    return random.Random(purpose).sample(sorted(values), number)
