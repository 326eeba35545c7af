"""What a data set does about pictures that it holds several times (`data.duplicates`)."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.equal_pictures import MOST_READS, EqualPictures, find_equal_pictures
from gist_ray.datasets.reading import Reading, locations
from gist_ray.datasets.splits import to_draw
from gist_ray.errors import printable
from gist_ray.schema import stable_id
from gist_ray.store import storage
from gist_ray.store.artifacts import table_content

KEPT_FIRST = ("test", "val", "train", "unlabeled")
"""Of copies in several splits the one in the first of these stays: test is as it was published, and
nothing is trained on that val or test hold. Our choice."""

MOST_EXAMPLES = 3

FEWEST_KEPT = 10_000
"""Pictures from which on it pays to keep what the comparison found."""


def needs_all_pictures(config: DataConfig, given: Collection[str]) -> bool:
    """Returns whether the rows of a data set with these splits depend on which of all its pictures
    are equal."""
    if config.duplicates == "report":
        return bool(to_draw(given, config))
    return config.duplicates != "ignore"


def equal_pictures_of(reading: Reading, config: DataConfig, indices: str) -> EqualPictures:
    """Returns which pictures of a data set have equal files. For a large one the result is kept in
    the folder `indices` and serves as long as the data set names the same files, unless some could
    not be compared."""
    uris = pa.table({"uri": locations(reading.root, reading.images.column("path"))})
    key = stable_id("equal pictures 1", table_content(uris), config.duplicates)
    kept = storage.join(indices, f"{key}.parquet")
    if storage.exists(kept):
        return EqualPictures(storage.read_parquet(kept).column("first").to_numpy(), 0)
    most_reads = MOST_READS if config.duplicates == "report" else None
    found = find_equal_pictures(uris.column("uri").to_pylist(), most_reads=most_reads)
    if len(uris) >= FEWEST_KEPT and not found.num_not_compared:
        storage.write_parquet(kept, pa.table({"first": found.first}))
    return found


def without_copies(reading: Reading, equal: EqualPictures) -> tuple[Reading, EqualPictures]:
    """Returns the data set with one of equal pictures each, and none of those that are there under
    several classes: one of their labels is wrong, and nobody knows which."""
    frame = _frame(reading.images, equal)
    contradicted = frame["first"].isin(_of_several_classes(frame)).to_numpy()
    by_rank = frame.assign(rank=frame.split.map(rank_of)).sort_values("rank", kind="stable")
    is_kept = frame.index.isin(by_rank.drop_duplicates("first").index) & ~contradicted
    left_out = Counter(reading.left_out)
    left_out["copies of other pictures"] += int((~is_kept & ~contradicted).sum())
    left_out["equal pictures of several classes"] += int(contradicted.sum())
    images = reading.images.filter(pa.array(is_kept))
    alone = EqualPictures(np.arange(len(images)), equal.num_not_compared)
    return replace(reading, images=images, left_out=+left_out), alone


def copy_problems(reading: Reading, equal: EqualPictures) -> list[str]:
    """Returns the problem of a data set that holds pictures several times (data.duplicates=error),
    if it does."""
    if not (told := _told(reading.images, equal)):
        return []
    return [f"{reading.root}: {told}. Take them out, or set data.duplicates=drop."]


def about_copies(images: pa.Table, equal: EqualPictures) -> list[str]:
    """Returns lines on the equal pictures among IMAGES, after the splits are drawn."""
    lines = []
    if told := _told(images, equal):
        lines.append(f"equal pictures: {told}; data.duplicates=drop leaves copies out")
    if equal.num_not_compared:
        lines.append(
            f"equal pictures: {equal.num_not_compared:,} pictures were not compared with others "
            "(they could not be read, come by http, or would have had to be read one by one: "
            "data.duplicates=drop or error reads them)"
        )
    return lines


def _told(images: pa.Table, equal: EqualPictures) -> str:
    """Returns a sentence on the equal pictures among IMAGES, "" if there are none."""
    num_copies = int(equal.is_copy.sum())
    if not num_copies:
        return ""
    frame = _frame(images, equal)
    company = frame[frame.duplicated("first", keep=False)]
    parts = [f"{num_copies:,} of {len(images):,} pictures are copies, byte for byte, of others"]
    spread = company[company.split != "unlabeled"].groupby("first").split.agg(_distinct)
    for splits, number in Counter(spread[spread.map(len) > 1]).most_common():
        parts.append(f"in {' and in '.join(splits)}: {number:,}")
    if number := len(_of_several_classes(frame)):
        parts.append(f"in several classes: {number:,}")
    examples = [
        " = ".join(repr(printable(path)) for path in of.path[:MOST_EXAMPLES])
        for _, of in list(company.groupby("first"))[:MOST_EXAMPLES]
    ]
    return f"{', '.join(parts)} (such as {'; '.join(examples)})"


def _frame(images: pa.Table, equal: EqualPictures) -> pd.DataFrame:
    frame: pd.DataFrame = images.select(["path", "label", "split"]).to_pandas()
    return frame.assign(first=equal.first)


def _of_several_classes(frame: pd.DataFrame) -> pd.Index:
    """Returns the `first` of equal pictures that have several labels."""
    num_labels = frame.groupby("first").label.nunique()
    return num_labels.index[num_labels > 1]


def _distinct(splits: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(set(splits), key=lambda split: (rank_of(split), split), reverse=True))


def rank_of(split: str) -> int:
    """Returns the place of a split in KEPT_FIRST."""
    return KEPT_FIRST.index(split.partition("/")[0])
