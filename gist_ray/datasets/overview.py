"""What was understood of a data set, in lines for people: a wrong reading is seen here before any
work."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa

from gist_ray.datasets.fewshot import same_samples
from gist_ray.datasets.ingest import Ingested
from gist_ray.datasets.manifest import classes_of
from gist_ray.datasets.splits import counts_of_splits
from gist_ray.errors import printable

MOST_NAMES = 3
MOST_REASONS = 6


def about_images(manifest: pa.Table) -> list[str]:
    """Returns lines on the classes and splits of a MANIFEST."""
    splits = manifest.column("split").value_counts().to_pylist()
    sizes = ", ".join(f"{count['counts']:,} {count['values']}" for count in splits)
    images_of = _train_images(manifest)
    lines = [f"{manifest.num_rows:,} images ({sizes}) of {len(images_of):,} classes"]
    if not images_of:
        return lines
    first = ", ".join(repr(name) for name, _ in images_of[:MOST_NAMES])
    by_size = sorted(images_of, key=lambda pair: pair[1])
    lines.append(
        f"classes: {printable(first)} ...; training images: fewest {_sizes(by_size[:MOST_NAMES])}; "
        f"most {_sizes(by_size[: -MOST_NAMES - 1 : -1])}"
    )
    return lines


def about_files(found: Ingested) -> list[str]:
    """Returns lines on how the splits came about, and on what was left out and is broken."""
    lines = [f"split {split}: {how}" for split, how in found.drawn.items()]
    if found.left_out:
        lines.append(f"files left out: {_counted(found.left_out)}")
    lines += found.notes
    if len(found.errors):
        kinds = Counter(found.errors.column("kind").to_pylist())
        first = printable(found.errors.column("message")[0].as_py())
        lines.append(f"broken rows: {_counted(kinds)}. The first: {first}")
    return lines


def about_shots(manifest: pa.Table, shots: Sequence[int | str]) -> list[str]:
    """Returns a line for each number of shots that some classes do not have."""
    sizes = [size for _, size in _train_images(manifest)]
    same = same_samples(manifest, [number for number in shots if isinstance(number, int)])
    lines = [
        f"{more} shots: the same images as {less} shots, left out" for more, less in same.items()
    ]
    for number in (number for number in shots if number not in same):
        small = sum(size < number for size in sizes) if isinstance(number, int) else 0
        if small:
            lines.append(
                f"{number} shots: {small:,} of {len(sizes):,} classes have fewer training images, "
                f"the smallest {min(sizes):,}; all of theirs are taken"
            )
    return lines


def _train_images(manifest: pa.Table) -> list[tuple[str, int]]:
    """Returns (class name, number of its training images), in the order of the labels."""
    counts = counts_of_splits([manifest])
    return [(name, counts[label]["train"]) for label, name in classes_of(manifest)]


def _sizes(classes: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{printable(name)!r} {count:,}" for name, count in classes)


def _counted(counts: Mapping[str, int]) -> str:
    most = Counter(counts).most_common()
    shown = ", ".join(f"{count:,} {printable(what)}" for what, count in most[:MOST_REASONS])
    rest = sum(count for _, count in most[MOST_REASONS:])
    return f"{shown} and {rest:,} more" if rest else shown
