"""Who sees what: which emoji are classes, and what is kept from pretraining and from training."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gist_ray.demo.emoji.catalogue import Emoji, gendered_roles

CLASS_GROUPS = ("animals-nature", "food-drink", "travel-places", "activities", "objects")
"""Groups whose subgroups are classes: things, and neither faces, people nor signs."""

MIN_MEMBERS = 9
NUM_UNSEEN_ROLES = 24
UNSEEN_SHARE = 0.1
VAL_SHARE = 0.2


@dataclass(frozen=True)
class EmojiSplit:
    """Decided by emoji, whoever draws them."""

    classes: dict[str, list[Emoji]]
    """{class name: members}, a class per CLDR subgroup of at least MIN_MEMBERS."""

    unseen: set[str]
    """Codes that pretraining does not show: a tenth of each class, and 24 roles of people with all
    their variants. What a model can say of them it has from the parts of their names."""

    val: set[str]
    """Codes of class members whose pictures are val and never train."""


def split_emoji(emoji: Sequence[Emoji], seed: int) -> EmojiSplit:
    """The same for the same catalogue and seed."""
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
    """ "animal-bird" -> "animal bird"."""
    return subgroup.replace("-", " ")


def _drawn(values: Sequence[str], purpose: str, number: int) -> list[str]:
    return random.Random(purpose).sample(sorted(values), number)
