"""The index of a WebDataset tar. Members with the same key are one sample.

Nothing is unpacked. Member names serve only as keys, so a name such as ../../x is harmless.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pyarrow as pa

from gist_ray.errors import listed
from gist_ray.images.decode import has_picture_ending
from gist_ray.images.members import range_reference
from gist_ray.schema import error_row
from gist_ray.store import storage

TEXT_ENDINGS = ("cls", "txt", "json")
MAX_TEXT_BYTES = 2**20
BLOCK_BYTES = 4 * 2**20

SAMPLES = pa.schema(
    [
        # the image's name in the tar, and its reference; "" if it has none
        pa.field("name", pa.string(), nullable=False),
        pa.field("image", pa.string(), nullable=False),
        pa.field("cls", pa.string(), nullable=False),
        pa.field("txt", pa.string(), nullable=False),
        # an object, or ""
        pa.field("json", pa.string(), nullable=False),
        # kind and message of an ERRORS row; "" for a usable sample
        pa.field("kind", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class _Member:
    key: str
    ending: str
    name: str
    is_file: bool
    offset: int
    size: int


@dataclass
class _Sample:
    key: str
    images: list[_Member] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def index_tar(uri: str) -> pa.Table:
    """Returns the SAMPLES of a tar, in its order. Reads its headers and short texts, not the
    images."""
    fs, path = storage.filesystem(uri)
    rows: list[dict[str, str]] = []
    with fs.open(path, "rb", block_size=BLOCK_BYTES) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for key, members in groupby(_members(tar), key=lambda member: member.key):
                    rows += _rows(uri, _sample(key, members, file))
                _check_end(tar, file)
        except (tarfile.TarError, EOFError) as error:
            message = (
                f"{uri}: is damaged, or no tar without compression ({error}). What stands before "
                "is used. Make it again."
            )
            rows.append(_failed(uri, "", kind="corrupt", message=message))
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def _members(tar: tarfile.TarFile) -> Iterator[_Member]:
    for info in tar:
        folder, slash, name = info.name.rpartition("/")
        key, dot, ending = name.partition(".")  # WebDataset's rule
        if info.isdir() or not dot:
            continue
        is_file = info.isreg() and not info.issparse()
        yield _Member(
            folder + slash + key, ending.lower(), info.name, is_file, info.offset_data, info.size
        )


def _check_end(tar: tarfile.TarFile, file: Any) -> None:
    """Raises ReadError if reading has stopped at a damaged header, which tarfile treats as the end
    of the file."""
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"there is no header at byte {tar.offset:,}")


def _sample(key: str, members: Iterable[_Member], file: Any) -> _Sample:
    sample = _Sample(key)
    for member in members:
        # the last ending counts for a picture, so that one with further dots is not overlooked
        is_image = has_picture_ending(member.name)
        if not is_image and member.ending not in TEXT_ENDINGS:
            continue
        if not member.is_file:
            sample.problems.append(f"{member.name!r} is a link or device and no file")
        elif is_image:
            sample.images.append(member)
        elif member.size > MAX_TEXT_BYTES:
            sample.problems.append(f"{member.name!r} has {member.size:,} bytes")
        else:
            _add_text(sample, member, file)
    if not sample.images:
        sample.problems.append("has no image")
    elif len(sample.images) > 1:
        sample.problems.append(
            f"has {len(sample.images)} images, {listed([i.name for i in sample.images], 3)}, and a "
            "sample is one. What stands before the first dot of a name is its sample: write other "
            "dots as dashes or underscores"
        )
    return sample


def _add_text(sample: _Sample, member: _Member, file: Any) -> None:
    place = file.tell()
    file.seek(member.offset)
    data = file.read(member.size)
    file.seek(place)
    try:
        text = data.decode("utf-8-sig").strip()
        if member.ending == "json" and not isinstance(json.loads(text), dict):
            raise ValueError("is not an object {...}")
    except ValueError as error:
        sample.problems.append(f"{member.name!r} cannot be read ({error})")
    else:
        sample.texts[member.ending] = text


def _rows(uri: str, sample: _Sample) -> list[dict[str, str]]:
    """Returns a row, or if the sample is unusable one for each picture that is lost by it."""
    if not sample.problems:
        return [_row(uri, sample)]
    message = f"{uri}, key {sample.key!r}: {'; '.join(sample.problems)}. Mend the sample."
    lost = [image.name for image in sample.images] if len(sample.images) > 1 else [sample.key]
    return [_failed(uri, name, kind="bad_member", message=message) for name in lost]


def _row(uri: str, sample: _Sample) -> dict[str, str]:
    (image,) = sample.images
    clean = error_row(image.name, "", kind="", message="")["id"]
    if clean != image.name:
        message = f"{uri}, key {clean!r}: the name is not UTF-8. Rename it."
        return _failed(uri, clean, kind="bad_name", message=message)
    texts = {ending: sample.texts.get(ending, "") for ending in TEXT_ENDINGS}
    reference = range_reference(uri, image.offset, image.size)
    return {"name": image.name, "image": reference, **texts, "kind": "", "message": ""}


def _failed(uri: str, key: str, *, kind: str, message: str) -> dict[str, str]:
    row = error_row(key, uri, kind=kind, message=message)
    nothing = {"image": "", **dict.fromkeys(TEXT_ENDINGS, "")}
    return {"name": row["id"], **nothing, "kind": kind, "message": row["message"]}
