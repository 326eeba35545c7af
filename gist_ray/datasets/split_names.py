"""The names that data sets give to splits, and the splits of a manifest that they mean."""

import re
from collections.abc import Mapping

from gist_ray.schema import SPLITS, TEST_SETS

USUAL = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "devel", "development"),
    "test": ("test", "testing", "tst"),
    "unlabeled": ("unlabeled", "unlabelled"),
}
"""Not eval, holdout or query: some data sets test on these and some validate."""

MEANING = {name: split for split, names in USUAL.items() for name in names}

ENDING = re.compile(r"[\s._-]*(?:set|split|data|images|imgs)?[\s._-]*$")
"""What the name of a split may end in: train_set, testset, Training-Images."""


def split_of(name: str, own: Mapping[str, str] | None = None) -> str:
    """Returns the manifest's split for a data set's name of a split: one of SPLITS, test/NAME
    unchanged, or "" for a name that is not known.

    own: the setting split_names, which replaces the usual names; None for these.
    """
    name = name.strip()
    if own is not None:
        return own.get(name, "")
    if re.fullmatch(TEST_SETS, name):
        return name
    whole = name.casefold()
    return MEANING.get(whole) or MEANING.get(ENDING.sub("", whole), "")


def is_split(name: str) -> bool:
    """Returns whether a manifest may have a split of this name."""
    return name in SPLITS or bool(re.fullmatch(TEST_SETS, name))
