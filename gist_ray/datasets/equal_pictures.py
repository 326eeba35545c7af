"""Finds the pictures of a data set whose files are equal byte for byte, reading few of them.

Files are told apart by what the store says of them, then by some bytes of their middle, and only
those that still look alike are read whole.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gist_ray.images.members import RANGE, MemberError, is_member, read_member
from gist_ray.store import storage
from gist_ray.store.file_facts import content_facts

MIDDLE_BYTES = 4096
READ_AT_ONCE = 16
EMPTY = "0"
"""The fact of a file without bytes."""

LARGEST = 2**31
"""Bytes above which a file is no picture, and is not read."""

MOST_READS = 50_000
"""Most pictures that are read where nobody asked for a comparison and reading them costs a request
or a whole row: pictures in tar files on S3, and in the rows of Parquet files. Our choice."""


@dataclass(frozen=True)
class EqualPictures:
    """Which pictures of a data set have equal files."""

    first: np.ndarray
    """(num_pictures,) int64: the place of the first picture with the same bytes; a picture's own
    place if it is the first, or was not compared."""

    num_not_compared: int
    """Pictures that could not be read, that are kept where only reading tells (http), or that would
    have been too many to read."""

    @property
    def is_copy(self) -> np.ndarray:
        """(num_pictures,) bool: whether an earlier picture is equal."""
        copies: np.ndarray = self.first != np.arange(len(self.first))
        return copies

    def of(self, chosen: np.ndarray) -> "EqualPictures":
        """Returns which of the chosen pictures, (num_pictures,) bool, have equal files."""
        return EqualPictures(_first_of_each(self.first[chosen]), self.num_not_compared)


def find_equal_pictures(uris: Sequence[str], *, most_reads: int | None) -> EqualPictures:
    """Returns which pictures have equal files.

    most_reads: as MOST_READS; None reads as many as it takes.
    """
    facts = np.array(_facts(uris), object)
    missing = pd.isna(facts)
    codes, _ = pd.factorize(facts)
    # files without a byte are broken, and not copies of each other
    groups = _alone(codes.astype(np.int64), missing | (facts == EMPTY))
    not_compared = missing
    candidates = _in_company(groups)
    costly = [at for at in candidates if _is_costly(uris[at])]
    if most_reads is not None and len(costly) > most_reads:
        not_compared = missing.copy()
        not_compared[costly] = True
        candidates = np.setdiff1d(candidates, costly)
        groups = _alone(groups, not_compared)
    for content in (_middle, _digest):
        read = _read_all(content, [uris[at] for at in candidates])
        key = np.full(len(uris), "", object)
        key[candidates] = read
        failed = np.zeros(len(uris), bool)
        failed[candidates] = [text is None for text in read]
        not_compared = not_compared | failed
        groups = _alone(_split_by(groups, key), not_compared)
        candidates = _in_company(groups)
    return EqualPictures(_first_of_each(groups), int(not_compared.sum()))


def _first_of_each(groups: np.ndarray) -> np.ndarray:
    """Returns the place of the first member of each one's group."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _facts(uris: Sequence[str]) -> list[str | None]:
    """Returns for each picture a text that is the same for equal pictures; None where there is
    nothing to compare."""
    facts: list[str | None] = ["in a row"] * len(uris)
    files = []
    for at, uri in enumerate(uris):
        if found := RANGE.fullmatch(uri):
            facts[at] = found["length"]
        elif not is_member(uri):
            files.append(at)
    for at, fact in zip(files, content_facts([uris[at] for at in files]), strict=True):
        facts[at] = fact
    return facts


def _alone(groups: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the groups with each of the chosen in a group of its own."""
    return np.where(chosen, len(groups) + np.arange(len(groups)), groups)


def _split_by(groups: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Returns groups whose members have one group and one key."""
    codes, _ = pd.factorize(pd.MultiIndex.from_arrays([groups, key]))
    return codes.astype(np.int64)


def _in_company(groups: np.ndarray) -> np.ndarray:
    """Returns the places of those whose group has several members."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    places: np.ndarray = np.flatnonzero(counts[inverse] > 1)
    return places


def _is_costly(uri: str) -> bool:
    """Returns whether a picture is read by a request of its own, or only as a whole."""
    return is_member(uri) and (not storage.is_local(uri) or RANGE.fullmatch(uri) is None)


def _read_all(content: Callable[[str], str | None], uris: Sequence[str]) -> list[str | None]:
    with ThreadPoolExecutor(READ_AT_ONCE) as threads:
        return list(threads.map(content, uris))


def _middle(uri: str) -> str | None:
    """Returns a digest of some bytes in the middle of a picture, "" if it can only be read whole or
    the store's ETag says all; None if it cannot be read."""
    try:
        place = _place(uri)
        if place is None:
            return ""
        file, start, length = place
        start += max(0, length - MIDDLE_BYTES) // 2
        return _digest_of(storage.read_range(file, start, start + min(length, MIDDLE_BYTES)))
    except OSError:
        return None


def _place(uri: str) -> tuple[str, int, int] | None:
    """Returns the file of a picture, its first byte there and its length, if a part can be read."""
    if found := RANGE.fullmatch(uri):
        return found["file"], int(found["offset"]), int(found["length"])
    is_file = storage.is_local(uri) and not is_member(uri)
    return (uri, 0, storage.size(uri)) if is_file else None


def _digest(uri: str) -> str | None:
    """Returns a digest of a picture's bytes, "" of an object on S3, of which the ETag says all;
    None if it cannot be read."""
    try:
        if is_member(uri):
            return _digest_of(read_member(uri, LARGEST))
        return _digest_of(storage.read_bytes(uri, LARGEST)) if storage.is_local(uri) else ""
    except (OSError, MemberError):
        return None


def _digest_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
