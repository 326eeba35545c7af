"""Which image of a manifest a caption file means by a name such as "001.X/Y.jpg"."""

from collections.abc import Sequence


def find_images(keys: Sequence[str], uris: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """({key: number of its image in `uris`}, {key: how many images it fits, where several}).

    A key fits an image whose location ends in it, by whole path parts; if none does, the image
    whose file name is the same, since caption files often keep the folders of the machine they
    were made on. Keys that fit nothing are in neither.
    """
    found: dict[str, int] = {}
    ambiguous: dict[str, int] = {}
    by_ending: dict[int, dict[tuple[str, ...], list[int]]] = {}
    parts_of_uris = [_parts(uri) for uri in uris]
    for key in keys:
        parts = _parts(key)
        for length in dict.fromkeys((len(parts), 1)):
            if length not in by_ending:
                by_ending[length] = _index(parts_of_uris, length)
            rows = by_ending[length].get(parts[-length:], [])
            if len(rows) == 1:
                found[key] = rows[0]
            elif rows:
                ambiguous[key] = len(rows)
            if rows:
                break
    return found, ambiguous


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.strip().split("/") if part not in ("", "."))


def _index(paths: Sequence[tuple[str, ...]], length: int) -> dict[tuple[str, ...], list[int]]:
    index: dict[tuple[str, ...], list[int]] = {}
    for row, parts in enumerate(paths):
        index.setdefault(parts[-length:], []).append(row)
    return index
