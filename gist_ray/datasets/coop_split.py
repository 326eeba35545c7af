"""The reader of CoOp's split files, split_zhou_<Name>.json:
{"train": [[path, label, class name], ...], ...}.

The order of the entries is kept, since CoOp's few-shot rule draws by position.
"""

import posixpath
from fnmatch import fnmatch
from typing import Any

from gist_ray.datasets import lines
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import (
    ClassEntry,
    LabelledImage,
    Reading,
    check_image_folder,
    images_table,
    parent,
    relative_path,
)
from gist_ray.errors import UserError
from gist_ray.store import storage

SPLITS = ("train", "val", "test")


def read_coop_split(config: DataConfig) -> Reading:
    """Returns the images of train, val and test in the file's order. Two labels may share a name,
    as in ImageNet.

    Raises UserError with the file and each entry that is not [path, label, class name].
    """
    uri = _find_file(storage.absolute(config.path))
    root = parent(uri)
    problems: list[str] = []
    check_image_folder(root, config.images, problems)
    contents = lines.read_json(uri, problems)
    if problems:
        raise UserError(problems)
    if not isinstance(contents, dict) or set(contents) != set(SPLITS):
        raise UserError(
            f"{uri}: is not a CoOp split file, which is an object with the lists train, val and "
            f"test; this has {sorted(contents) if isinstance(contents, dict) else 'none'}."
        )

    images = []
    names: dict[int, tuple[str, str]] = {}
    broken = []
    for split in SPLITS:
        for index, entry in enumerate(contents[split]):
            where = f"{uri}, {split}[{index}]"
            if not _is_entry(entry):
                broken.append(f"{where}: {entry!r} is not [path, label from 0, class name].")
                continue
            path, label, name = entry
            first_name, first_where = names.setdefault(label, (name, where))
            if name != first_name:
                broken.append(
                    f"{where}: label {label} is called {name!r}, but {first_name!r} in "
                    f"{first_where}."
                )
            path = relative_path(root, posixpath.join(config.images, path))
            images.append(LabelledImage(path, label, split, where=where))
    missing = sorted(set(range(len(names))) - names.keys())
    if missing:
        broken.append(f"{uri}: labels are not 0..{len(names) - 1}: {missing[0]} has no images.")
    if broken:
        lines.report_broken(uri, broken, problems)
        raise UserError(problems)
    classes = [
        ClassEntry((names[label][0], str(label)), names[label][0].replace("_", " ").strip())
        for label in range(len(names))
    ]
    return Reading(root, classes, images_table(images))


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and [type(value) for value in entry] == [str, int, str]
        and bool(entry[0])
        and entry[1] >= 0
    )


def _find_file(path: str) -> str:
    if path.lower().endswith(".json"):
        return path
    splits = [name for name in storage.names_in(path) if fnmatch(name, "split_zhou_*.json")]
    if len(splits) != 1:
        raise UserError(
            f"{path}: has {len(splits)} files split_zhou_*.json where one is expected. "
            "Set path to the file itself."
        )
    return storage.join(path, splits[0])
