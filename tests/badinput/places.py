"""What else can lie, or not lie, where a picture should be; for the two ways to name pictures."""

import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.badinput.drawing import encoded, noise
from tests.badinput.kinds import Kind

SECRET = "the sentinel's secret"
VANISHES = "vanishes.jpg"


@dataclass(frozen=True, kw_only=True)
class Place(Kind):
    """`make` puts it below the data set's folder, beside which the folder `sentinel` lies.

    in_folder and in_table: kinds of the error row when a folder is read, and when a table names it;
    "" for a picture that is embedded, None where the way does not apply.
    """

    make: Callable[[Path], None]
    in_folder: str | None
    in_table: str | None


def _picture(path: Path) -> None:
    path.write_bytes(encoded(noise(9), "PNG"))


def _socket(path: Path) -> None:
    # the address of a socket may have 108 bytes, the path of a test has more
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _unreadable(path: Path) -> None:
    _picture(path)
    path.chmod(0)


def unreadable_here() -> str:
    """The kind of a file of mode 000: root reads it all the same."""
    return "" if os.geteuid() == 0 else "forbidden"


def _beside(path: Path, target: str) -> None:
    path.symlink_to(path.parent.parent.parent / "sentinel" / target)


KINDS: list[Place] = [
    Place(
        name="link_out.jpg",
        happens="a link to a picture outside the data set's folder: error row `forbidden` when "
        "folders are read; a table is its owner's word, and may name any file",
        make=lambda path: _beside(path, "private.png"),
        in_folder="forbidden",
        in_table="",
    ),
    Place(
        name="link_to_itself.jpg",
        happens="error row `missing`",
        make=lambda path: path.symlink_to(path),
        in_folder="missing",
        in_table="missing",
    ),
    Place(
        name="dangling_link.jpg",
        happens="error row `missing`",
        make=lambda path: path.symlink_to(path.parent / "nowhere.jpg"),
        in_folder="missing",
        in_table="missing",
    ),
    Place(
        name="mode_000.png",
        happens="a file that may not be read: error row `forbidden`; root may read it",
        make=_unreadable,
        in_folder=unreadable_here(),
        in_table=unreadable_here(),
    ),
    Place(
        name="folder_called.jpg",
        happens="a folder: pictures in it are read; named by a table: error row `corrupt`",
        make=lambda path: path.mkdir(),
        in_folder=None,
        in_table="corrupt",
    ),
    Place(
        name="pipe.jpg",
        happens="a named pipe, never opened: error row `missing`, from a table `corrupt`",
        make=os.mkfifo,
        in_folder="missing",
        in_table="corrupt",
    ),
    Place(
        name="socket.jpg",
        happens="error row `missing`, from a table `corrupt`",
        make=_socket,
        in_folder="missing",
        in_table="corrupt",
    ),
    Place(
        name="endless_device.jpg",
        happens="a link to /dev/zero: error row `forbidden`, from a table `corrupt`; not opened",
        make=lambda path: path.symlink_to("/dev/zero"),
        in_folder="forbidden",
        in_table="corrupt",
    ),
    Place(
        name=VANISHES,
        happens="deleted between plan and embedding: error row `missing`",
        make=_picture,
        in_folder="missing",
        in_table="missing",
    ),
]


@dataclass(frozen=True, kw_only=True)
class NamedPath(Kind):
    """A path as a table gives it; `{sentinel}` stands for the folder beside the data set."""

    path: str
    kind: str


PATHS: list[NamedPath] = [
    NamedPath(
        name="path with ../",
        happens="a table may name pictures outside its folder, relative or absolute: read as "
        "pictures and as nothing else",
        path="../sentinel/private.png",
        kind="",
    ),
    NamedPath(
        name="absolute path of a text file",
        happens="error row `corrupt`; nothing of the file's content is said",
        path="{sentinel}/secret.txt",
        kind="corrupt",
    ),
    NamedPath(
        name="path with a NUL",
        happens="error row `missing`",
        path="a\0b.jpg",
        kind="missing",
    ),
    NamedPath(
        name="path of 5,000 characters",
        happens="error row `missing`",
        path="long" * 1250 + ".jpg",
        kind="missing",
    ),
    NamedPath(
        name="unknown protocol",
        happens="error row `missing`",
        path="carrier-pigeon://coop/1.jpg",
        kind="missing",
    ),
    NamedPath(
        name="path that is not there",
        happens="error row `missing`",
        path="class/not/here.jpg",
        kind="missing",
    ),
]


def snapshot(*folders: Path) -> dict[str, tuple[int, int, bytes]]:
    """{path: mode, time of change, content} of everything below the folders."""
    found = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found
