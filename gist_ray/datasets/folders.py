"""What the folders of a data set mean: split/class/*, or class/*."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.reading import ClassEntry
from gist_ray.datasets.split_names import split_of
from gist_ray.errors import UserError, listed
from gist_ray.store import storage

NUMBER_BEFORE = re.compile(r"\d+[._ -]+(?=[^\W\d_])")

MOST_SPLITS = 10
"""More top folders than these are classes, whatever lies in them."""

SHARED = 0.5
"""The share of its folders that a top folder has in common with all others if they are splits."""

NOT_PICTURES = frozenset(
    [
        ".txt",
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".xml",
        ".yaml",
        ".yml",
        ".md",
        ".html",
        ".log",
        ".ini",
        ".db",
        ".py",
        ".sh",
        ".mat",
        ".npy",
        ".npz",
        ".pkl",
        ".pt",
        ".parquet",
        ".xlsx",
        ".pdf",
        ".zip",
        ".tar",
        ".gz",
    ]
)
"""Endings of files that people keep beside pictures: a folder of these alone is no class."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of a data set's folders: splits and classes, or classes alone."""

    split_folders: Mapping[str, str]
    """{top folder: its split}; {} if the top folders are classes."""

    classes: list[str]

    @property
    def has_splits(self) -> bool:
        return bool(self.split_folders)

    @property
    def splits(self) -> set[str]:
        """The splits that have a folder; train if there are no split folders."""
        return set(self.split_folders.values()) or {"train"}

    @property
    def depth(self) -> int:
        """The number of folders above a picture: 2 for split/class, 1 for class."""
        return 2 if self.has_splits else 1

    def class_entries(self) -> list[ClassEntry]:
        """Returns the classes with display names: without the number that stands before each, as in
        001.Black_footed_Albatross, and with spaces for underscores."""
        names = [NUMBER_BEFORE.sub("", name) for name in self.classes]
        is_numbered = all(NUMBER_BEFORE.match(name) for name in self.classes)
        if not is_numbered or len(set(names)) < len(names):
            names = self.classes
        return [
            ClassEntry((key,), name.replace("_", " ").strip())
            for key, name in zip(self.classes, names, strict=True)
        ]


@dataclass
class Folders:
    """The names of the two upper folders of a data set's pictures, collected from their paths."""

    inner: dict[str, set[str]] = field(default_factory=dict)
    """{top folder: folders in it}; nothing in it where there are more than MOST_SPLITS and its name
    is no split's."""

    num_pictures: int = 0

    def add(self, paths: pa.ChunkedArray) -> None:
        self.num_pictures += len(paths)
        for name in pc.unique(parts(paths, 1)).to_pylist():
            if name:
                self.inner.setdefault(name, set())
        for folders in pc.unique(parts(paths, 2)).to_pylist():
            first, _, second = (folders or "").partition("/")
            if second:
                self.inner[first].add(second)
        if len(self.inner) > MOST_SPLITS:
            for folder in self.inner.keys() - _usual_splits(self.inner).keys():
                self.inner[folder].clear()

    def meaning(self, root: str, split_names: Mapping[str, str] | None = None) -> Meaning:
        """Returns the meaning of the folders.

        split_names: the setting of that name. Raises UserError if all pictures lie in no folder, if
        there are folders of several splits and others beside them, or if unknown names may be those
        of splits.
        """
        if self.num_pictures and not self.inner:
            raise UserError(_of_one_class(root, self.num_pictures))
        if split_names is not None:
            return self._as_said(root, split_names)
        splits = _usual_splits(self.inner)
        others = sorted(self.inner.keys() - splits.keys())
        if others and self._look_like_splits():
            raise UserError(self._both_readings(root))
        # one class may be called "train"; two names of splits among others are a mistake
        if others and len(set(splits.values())) > 1:
            raise UserError(
                f"{root}: has split folders ({listed(sorted(splits))}) and other folders "
                f"({listed(others)}) side by side. Move the others away, or say what the top "
                f"folders are: {_setting(self.inner)}, or split_names={{}} if all are classes."
            )
        if splits and not others:
            return Meaning(splits, self._classes())
        if len(others) == 1 and len(self.inner[others[0]]) > 1:
            below = listed(sorted(self.inner[others[0]]), 3)
            raise UserError(
                f"{root}: has one class, {others[0]!r}, and below it lie the folders {below}. If "
                f"these are the classes, the path is {root}/{others[0]}."
            )
        return Meaning({}, sorted(self.inner))

    def _as_said(self, root: str, split_names: Mapping[str, str]) -> Meaning:
        if not split_names:
            return Meaning({}, sorted(self.inner))
        unknown = sorted(self.inner.keys() - split_names.keys())
        if unknown:
            raise UserError(
                f"{root}: split_names does not say which split the top folders {listed(unknown)} "
                "are. Add them, or move them away."
            )
        return Meaning({name: split_names[name] for name in self.inner}, self._classes())

    def _classes(self) -> list[str]:
        return sorted(set[str]().union(*self.inner.values()))

    def _look_like_splits(self) -> bool:
        """Returns whether the top folders share most of the folders in them."""
        if not 1 < len(self.inner) <= MOST_SPLITS:
            return False
        common = set.intersection(*self.inner.values())
        smallest = min(map(len, self.inner.values()))
        return len(common) > 1 and len(common) >= SHARED * smallest

    def _both_readings(self, root: str) -> str:
        tops = sorted(self.inner)
        common = sorted(set.intersection(*self.inner.values()))
        return (
            f"{root}: the top folders {listed(tops)} hold the same folders ({listed(common, 3)}). "
            f"Either {listed(common, 3)} are the classes and the top folders are splits: say "
            f"which, {_setting(tops)}. Or {listed(tops, 3)} are the classes: say split_names={{}}."
        )


def _of_one_class(root: str, num_pictures: int) -> str:
    """Returns the problem of a data set whose pictures lie in no folder."""
    above, _, name = root.rpartition("/")
    problem = f"{root}: {num_pictures:,} pictures lie directly in it, and none in a class folder."
    try:
        beside = [one for one in storage.names_in(above) if not one.startswith(".")]
    except OSError:
        return problem
    return (
        f"{problem} If {name!r} is a class, the path is {above}, which holds {listed(beside, 5)}."
    )


def _usual_splits(folders: Iterable[str]) -> dict[str, str]:
    """Returns {folder: its split} of the folders with a usual name of a split."""
    found = {folder: split_of(folder) for folder in folders}
    return {folder: split for folder, split in found.items() if split not in ("", "unlabeled")}


def _setting(folders: Iterable[str]) -> str:
    """Returns split_names as it may have to be set, as an example."""
    guesses = iter(("train", "test", "val"))
    said = {folder: split_of(folder) or next(guesses, "train") for folder in sorted(folders)}
    return "split_names={" + ", ".join(f"{name}: {split}" for name, split in said.items()) + "}"


def parts(paths: pa.ChunkedArray, number: int) -> pa.ChunkedArray:
    """Returns the first `number` folders of each path; null if there are fewer."""
    pattern = rf"^(?P<parts>[^/]*(?:/[^/]*){{{number - 1}}})/"
    return pc.struct_field(pc.extract_regex(paths, pattern), "parts")


@dataclass(frozen=True)
class LeftOut:
    """Files that are not looked at because of their ending."""

    reasons: Counter[str] = field(default_factory=Counter)
    """{"ending .heic": how many files}"""

    endings: dict[str, Counter[str]] = field(default_factory=dict)
    """{top folder, or top folder/folder in it: {ending: how many}} of files that may be pictures"""

    def add(self, path: str) -> None:
        *folders, name = path.split("/")
        stem, _, ending = name.rpartition(".")
        ending = f".{ending.lower()}" if stem else ""
        self.reasons[f"ending {ending}" if ending else "no ending"] += 1
        if ending not in NOT_PICTURES:
            for folder in {"/".join(folders[:depth]) for depth in (1, 2) if folders}:
                self.endings.setdefault(folder, Counter())[ending] += 1

    def problems(self, root: str, seen: Folders, meaning: Meaning) -> list[str]:
        """Returns a problem for each folder of a split or a class all of whose files were left
        out."""
        problems = []
        for folder, endings in sorted(self.endings.items()):
            top, _, inside = folder.partition("/")
            is_lost_class = bool(inside) and meaning.has_splits and top in seen.inner
            if inside in seen.inner[top] if is_lost_class else inside or top in seen.inner:
                continue
            problems.append(
                f"{root}/{folder}: has no picture that can be read, but {_counted(endings)}. "
                "Convert them, or move the folder away."
            )
        return problems


def _counted(endings: Counter[str]) -> str:
    return ", ".join(
        f"{count:,} files {f'that end in {ending}' if ending else 'without an ending'}"
        for ending, count in endings.most_common()
    )
