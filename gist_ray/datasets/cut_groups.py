"""Groups (a patient, a burst, a site) whose images the data set's own splits put on both sides."""

from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.reading import Reading
from gist_ray.schema import is_test

MOST_SHOWN = 3


def cut_groups(reading: Reading, group_column: str) -> list[str]:
    """Returns a problem if groups have images in more than one of train, val and test; [] if none
    has. All test sets count as one, and unlabeled images do not count. Splits that are drawn keep
    groups together (`carve_units`), so that only given ones are found.
    """
    images = reading.images.select(["group", "split"]).filter(
        pc.and_(
            pc.is_valid(reading.images.column("group")),
            pc.not_equal(reading.images.column("split"), "unlabeled"),
        )
    )
    sides = pc.if_else(is_test(images.column("split")), "test", images.column("split"))
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    counts = pa.table({"group": images.column("group"), "side": sides}).group_by(["group", "side"])
    for row in counts.aggregate([([], "count_all")]).to_pylist():
        sizes[row["group"]][row["side"]] += row["count_all"]
    cut = {group: of for group, of in sorted(sizes.items()) if len(of) > 1}
    if not cut:
        return []
    shown = ", ".join(f"{group!r} ({_said(of)})" for group, of in list(cut.items())[:MOST_SHOWN])
    more = f" and {len(cut) - MOST_SHOWN:,} more" if len(cut) > MOST_SHOWN else ""
    return [
        f"{reading.root}: the data set's splits cut {len(cut):,} of the {len(sizes):,} groups of "
        f"group_column={group_column}, with {sum(of.total() for of in cut.values()):,} images: "
        f"{shown}{more}. What is known of a group from train makes results on its other images too "
        "good. Have splits drawn that keep groups together with split_column=, or leave "
        "group_column out to take the splits as they are."
    ]


def _said(sizes: Counter[str]) -> str:
    return ", ".join(f"{sizes[side]:,} {side}" for side in ("train", "val", "test") if sizes[side])
