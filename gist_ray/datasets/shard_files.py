"""Finds the files of a data set with many pictures per file, and caches an index of each.

A path is a file, a folder (all such files below it), or a pattern with * and braces such as
train-{000..012}.tar.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pyarrow as pa

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.split_names import MEANING
from gist_ray.errors import UserError
from gist_ray.schema import stable_id
from gist_ray.store import storage
from gist_ray.store.reachable import is_pattern

INDEXED_AT_ONCE = 8


def find_files(path: str, suffix: str) -> list[str]:
    """Returns the files that `path` matches, sorted. Raises UserError if there is none, or if a
    named one does not exist."""
    path = storage.absolute(path)
    if path.endswith(suffix) and not is_pattern(path):
        found = [path]
    elif is_pattern(path):
        found = [file for one in _expanded(path) for file in _globbed(one)]
    else:
        inside = [name for name in storage.list_files(path) if name.endswith(suffix)]
        found = [storage.join(path, name) for name in inside]
    missing = [file for file in found if not storage.exists(file)]
    if missing:
        raise UserError([f"{file}: this file of the data set is not there." for file in missing])
    if not found:
        raise UserError(f"{path}: there are no {suffix} files.")
    return sorted(found)


def index_of(
    files: list[str], make: Callable[[str], pa.Table], *, kind: str, folder: str
) -> list[pa.Table]:
    """Returns `make(file)` of each file, cached below `folder` until the file changes.

    kind: part of the key of the cache, which tells different functions `make` apart.
    """

    def of(file: str) -> pa.Table:
        key = stable_id(kind, file, storage.version(file))
        kept = storage.join(folder, f"{key}.parquet")
        if storage.exists(kept):
            return storage.read_parquet(kept)
        table = make(file)
        storage.write_parquet(kept, table)
        return table

    with ThreadPoolExecutor(INDEXED_AT_ONCE) as threads:
        return list(threads.map(of, files))


def common_folder(files: list[str]) -> str:
    """Returns the deepest folder that contains all files."""
    folders = [file.rpartition("/")[0].split("/") for file in files]
    depth = 0
    while all(len(parts) > depth and parts[depth] == folders[0][depth] for parts in folders):
        depth += 1
    return "/".join(folders[0][:depth])


def splits_of(names: list[str], config: DataConfig) -> list[str] | None:
    """Returns the split with which each file's name or a folder of it begins; None unless every
    file has one, and if splits are to be drawn."""
    if not config.split_column:
        return None
    own = config.split_names
    meaning = MEANING if own is None else {name.casefold(): split for name, split in own.items()}
    longest_first = sorted(map(re.escape, meaning), key=len, reverse=True)
    beginning = re.compile(rf"(?:^|/)({'|'.join(longest_first)})(?=[-_./0-9])", re.IGNORECASE)
    found = [beginning.search(name) for name in names] if meaning else []
    known = [meaning[match[1].casefold()] for match in found if match]
    return known if len(known) == len(names) else None


def _globbed(path: str) -> list[str]:
    if not re.search(r"[*?]", path):
        return [path]
    fs, inside = storage.filesystem(path)
    scheme = "" if storage.is_local(path) else path.split("://")[0] + "://"
    return [scheme + found.removeprefix(scheme) for found in fs.glob(inside)]


def _expanded(path: str) -> list[str]:
    """Returns the paths that the braces {000..012} and {a,b} of a path stand for."""
    parts = re.split(r"(\{[^{}]*\})", path)
    return ["".join(choice) for choice in product(*map(_alternatives, parts))]


def _alternatives(part: str) -> list[str]:
    if span := re.fullmatch(r"\{([0-9]+)\.\.([0-9]+)\}", part):
        first, last = span[1], span[2]
        return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    return part[1:-1].split(",") if re.fullmatch(r"\{.*,.*\}", part) else [part]
