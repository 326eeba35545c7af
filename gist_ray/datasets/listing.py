"""The files below a folder, one after another in the order of their paths' bytes, never all at
once: S3 page by page, a local folder name by name."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from gist_ray.errors import UserError
from gist_ray.store import storage


class Found(NamedTuple):
    """A file, or something in its place that cannot be read."""

    path: str
    """Relative to the folder. Of a folder that cannot be read: with a slash at its end."""

    kind: str = ""
    """Kind of the error; "" for a file."""

    message: str = ""


def files(root: str, after: str = "") -> Iterator[Found]:
    """All files below `root` whose path comes after `after`.

    Local: links out of `root` and links to folders are not followed, hidden folders are left out.
    Raises UserError for an S3 store that lists in no order (directory buckets do).
    """
    if storage.is_local(root):
        found = _local(root, "", os.path.realpath(root))
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
    """`inside` is a folder relative to `root`, "" or with a slash at its end."""
    folder = os.path.join(root, inside) if inside else root
    try:
        with os.scandir(folder) as entries:
            # a slash behind folders, so that the order is that of the paths
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
        elif os.path.islink(os.path.join(root, path.rstrip("/"))):
            uri = os.path.join(root, path.rstrip("/"))
            message = f"{uri!r} is a link to a folder, which is not followed. Copy the folder."
            yield Found(path, "forbidden", message)
        else:
            yield from _local(root, path, real_root)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    # of a link that leads to itself, is_dir raises, and the whole folder would count as unreadable
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _checked(root: str, path: str, real_root: str) -> Found:
    uri = os.path.join(root, path)
    if os.path.islink(uri) and not os.path.realpath(uri).startswith(real_root + os.sep):
        message = f"{path!r} is a link out of the data set. Copy its target here."
        return Found(path, "forbidden", message)
    if not os.path.isfile(uri):
        return Found(path, "missing", f"{path!r} is not a regular file, or a link to nothing.")
    return Found(path)
