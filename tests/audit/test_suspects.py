import pyarrow as pa

from gist_ray.audit.suspects import ranked_labels
from gist_ray.schema import TESTIMONY, table
from tests.audit.drawn import manifest

IMAGES = manifest([{"label": 0}, {"label": 1}, {"label": 1}, {"label": 0}, {"label": None}])


def said_by(*rows: tuple[int, float, int]) -> pa.Table:
    return table(
        [{"image_id": f"i{n}", "score": score, "suggested": label} for n, score, label in rows],
        TESTIMONY,
    )


def test_images_are_ranked_by_all_witnesses_together() -> None:
    found = ranked_labels(
        IMAGES,
        {
            "probe": said_by((0, 0.1, 0), (1, 0.9, 0), (2, 0.8, 1), (3, 0.3, 0)),
            "text": said_by((0, 0.7, 1), (1, 0.8, 0), (2, 0.9, 1), (3, 0.2, 0)),
        },
        num_issues=2,
    ).to_pylist()
    assert [row["image_id"] for row in found] == ["i1", "i2", "i0", "i3"]
    assert [row["rank"] for row in found] == [0, 1, 2, 3]
    # no witness has another label for i2, so i0 is the second suspect
    assert [row["suspect"] for row in found] == [True, False, True, False]
    assert [row["suggested_name"] for row in found] == ["a", None, "b", None]
    assert [said["suggested"] for said in found[0]["witnesses"]] == ["a", "a"]


def test_a_witness_may_be_silent_about_an_image() -> None:
    found = ranked_labels(
        IMAGES,
        {"probe": said_by((1, 0.9, 0), (2, 0.1, 1)), "text": said_by((1, 0.9, 0))},
        num_issues=1,
    ).to_pylist()
    assert [row["image_id"] for row in found] == ["i1", "i2"]
    assert [len(row["witnesses"]) for row in found] == [2, 1]
