"""Finds the images of a manifest that a caption file names, as in "001.X/Y.jpg"."""

from collections.abc import Sequence


def find_images(keys: Sequence[str], uris: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns {key: number of its image in `uris`} for keys that fit one image, and {key: number of
    images} for keys that fit several. A key that fits none is in neither.

    A key fits an image whose URI ends in it, by whole path parts. If there is none, it fits the
    images with the same file name, since caption files often name folders of another machine.
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
