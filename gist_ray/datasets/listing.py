"""Lists the files below a folder lazily, in the order of the bytes of their paths: S3 page by page,
local folders one at a time."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from gist_ray.errors import UserError
from gist_ray.store import storage


class Found(NamedTuple):
    """A file, or an entry that cannot be read."""

    path: str
    """The path relative to the folder, with a slash at its end for a folder that cannot be read."""

    kind: str = ""
    """The kind of the error; "" for a file."""

    message: str = ""


def files(root: str, after: str = "", *, follow_links: bool = False) -> Iterator[Found]:
    """Yields all files below `root` whose path comes after `after`.

    In a local folder hidden folders are left out, and links out of `root` and links to folders are
    not followed, unless `follow_links` is true; a link to a folder that contains it never is.
    Raises UserError for an S3 store that lists keys unsorted (directory buckets do).
    """
    if storage.is_local(root):
        found = _local(root, "", "" if follow_links else os.path.realpath(root))
        yield from (entry for entry in found if entry.path > after)
        return
    last = after
    for path in storage.list_files(root, after):
        if path < last:
            raise UserError(
                f"{root}: this store lists its keys in no order ({last!r} before {path!r}). Name "
                "the pictures in a table and read it with data=manifest."
            )
        last = path
        yield Found(path)


def _local(root: str, inside: str, real_root: str) -> Iterator[Found]:
    """Yields the files below a folder.

    inside: the folder relative to `root`, "" or with a slash at its end. real_root: where links may
    lead; "" if they may lead anywhere.
    """
    folder = os.path.join(root, inside) if inside else root
    try:
        with os.scandir(folder) as entries:
            # a slash after the names of folders, so that names sort as whole paths do
            names = sorted(e.name + "/" if _is_folder(e) else e.name for e in entries)
    except OSError as error:
        yield Found(inside or "./", "forbidden", f"The folder cannot be read: {error}.")
        return
    for name in names:
        path = inside + name
        if not name.endswith("/"):
            yield _checked(root, path, real_root)
        elif name.startswith("."):
            continue
        elif message := _why_not_followed(os.path.join(root, path.rstrip("/")), real_root):
            yield Found(path, "forbidden", message)
        else:
            yield from _local(root, path, real_root)


def _why_not_followed(folder: str, real_root: str) -> str:
    """Returns why a folder is not entered; "" if it is."""
    if not os.path.islink(folder):
        return ""
    if real_root:
        return (
            f"{folder!r} is a link to a folder, which is not followed. Copy the folder, or set "
            "follow_links to true."
        )
    above, target = os.path.realpath(os.path.dirname(folder)), os.path.realpath(folder)
    if f"{above}/".startswith(f"{target}/"):
        return f"{folder!r} is a link to a folder that contains it. Delete the link."
    return ""


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    # is_dir raises for a link to itself, and the whole folder would count as unreadable
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _checked(root: str, path: str, real_root: str) -> Found:
    uri = os.path.join(root, path)
    if (
        real_root
        and os.path.islink(uri)
        and not os.path.realpath(uri).startswith(real_root + os.sep)
    ):
        message = (
            f"{path!r} is a link out of the data set. Copy its target here, or set follow_links to "
            "true."
        )
        return Found(path, "forbidden", message)
    if not os.path.isfile(uri):
        return Found(path, "missing", f"{path!r} is not a regular file, or a link to nothing.")
    return Found(path)
