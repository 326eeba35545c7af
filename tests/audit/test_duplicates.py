import pyarrow as pa

from gist_ray.audit.duplicates import copies_of_other_splits, duplicates, equal_pairs
from gist_ray.schema import COMPARED, table
from tests.audit.drawn import looks, manifest


def compared(*rows: tuple[int, int, str, float]) -> pa.Table:
    names = ("image_id", "other_id", "kind", "correlation")
    cells = [(f"i{a}", f"i{b}", kind, value) for a, b, kind, value in rows]
    return table(
        [
            {"pair_id": f"{n}", "similarity": 0.95, **dict(zip(names, row, strict=True))}
            for n, row in enumerate(cells)
        ],
        COMPARED,
    )


def test_equal_bytes_are_copies_whatever_neighbours_they_have() -> None:
    found = equal_pairs(looks({"content": "x"}, {}, {"content": "x"}, {"content": "x"}))
    assert found == [("i0", "i2"), ("i2", "i3")]


def test_copies_over_two_splits_come_first() -> None:
    images = manifest(
        [{}, {}, {"split": "test", "label": 1}, {}, {"split": "val"}, {"split": "test"}]
    )
    table = duplicates(
        images,
        looks({"content": "x"}, {"content": "x"}, {}, {}, {}, {}),
        compared(
            (0, 1, "same", 1.0),  # of equal bytes, and not told twice
            (2, 3, "mirrored", 0.97),
            (3, 4, "crop", 0.96),
            (4, 5, "same", 0.94),  # no copy
        ),
        min_correlation=0.95,
    )
    shown = [(r["cluster"], r["image_id"], r["other_id"], r["kind"]) for r in table.to_pylist()]
    assert shown == [
        (0, "i2", "i3", "mirrored"),
        (0, "i3", "i4", "crop"),
        (1, "i0", "i1", "exact"),
    ]
    first = table.to_pylist()[0]
    assert (first["split"], first["other_split"]) == ("test", "train")
    assert (first["class_name"], first["other_class_name"]) == ("b", "a")
    # what test holds stays; copies inside train stay
    assert copies_of_other_splits(table) == {"i3": "i2", "i4": "i2"}


def test_a_data_set_without_copies() -> None:
    found = duplicates(manifest([{}, {}]), looks({}, {}), compared(), min_correlation=0.95)
    assert len(found) == 0
    assert copies_of_other_splits(found) == {}
