import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.finetune.job import check_pairs
from gist_ray.finetune.selection import probe_score, retrieval_score, validation_sample
from gist_ray.images.limits import ImageLimits

LIMITS = ImageLimits()


def with_column(table: pa.Table, name: str, values: list) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, name, pa.array(values, table.schema.field(name).type))


def test_the_probe_tells_good_from_bad_and_says_the_same_twice(tiny, pairs):
    train, val = pairs.slice(0, 12), pairs.slice(12)
    score = probe_score(tiny, train, val, limits=LIMITS)
    assert score < 0
    assert probe_score(tiny, train, val, limits=LIMITS) == score
    # val images that are in the training set are easier
    assert probe_score(tiny, pairs, val, limits=LIMITS) > score
    # a class that was not trained does not count
    extra = with_column(pairs.slice(0, 1), "label", [99])
    assert probe_score(tiny, train, pa.concat_tables([val, extra]), limits=LIMITS) == pytest.approx(
        score, abs=1e-5
    )


def labelled(labels: list[int | None]) -> pa.Table:
    rows = {"uri": [str(row) for row in range(len(labels))], "label": pa.array(labels, pa.int32())}
    return pa.table(rows)


def test_a_validation_sample_is_bounded_even_over_classes_and_fixed():
    images = labelled([row % 7 if row < 1000 else 7 for row in range(1003)])
    sample = validation_sample(images, num_images=100, seed=3)
    assert len(sample) == 100
    counts = {row["values"]: row["counts"] for row in sample["label"].value_counts().to_pylist()}
    assert counts.pop(7) == 3
    assert set(counts.values()) <= {13, 14}
    rows = [int(uri) for uri in sample["uri"].to_pylist()]
    assert rows == sorted(set(rows))
    assert validation_sample(images, num_images=100, seed=3) == sample
    assert validation_sample(images, num_images=100, seed=4) != sample


def test_a_validation_sample_has_every_class_and_may_have_no_labels():
    many = validation_sample(labelled([*range(50), *range(50)]), num_images=10, seed=0)
    assert sorted(many["label"].to_pylist()) == list(range(50))
    assert len(validation_sample(labelled([None] * 30), num_images=10, seed=0)) == 10


def test_a_set_within_the_bound_is_validated_whole():
    images = labelled([2, 0, 1, 1, None])
    assert validation_sample(images, num_images=5, seed=0) is images


def test_retrieval_counts_the_pictures_whose_caption_is_nearest(tiny, pairs):
    same = with_column(pairs, "captions", [["one text for all"]] * 16)
    assert retrieval_score(tiny, same, limits=LIMITS) == 1.0
    assert 0 <= retrieval_score(tiny, pairs, limits=LIMITS) < 1


def test_what_cannot_be_trained_or_chosen_by_is_refused(pairs, recipe):
    val, none = pairs.slice(0, 4), pairs.slice(0, 0)
    bare = with_column(val, "captions", [[]] * 4)
    unlabeled = with_column(pairs, "label", [None] * 16)
    elsewhere = with_column(val, "label", [50] * 4)
    for train, choose, options, message in [
        (pairs.slice(0, 1), none, {}, "tune: 1 training pairs"),
        (
            pairs.slice(0, 3),
            none,
            {"num_workers": 4},
            "3 training pairs for finetune.num_workers=4",
        ),
        (pairs, none, {"select_by": "probe"}, "needs images of the val split and there are none"),
        (pairs, bare, {"select_by": "retrieval"}, "needs a caption of every val image"),
        (unlabeled, val, {"select_by": "probe"}, "16 pairs without a label"),
        (with_column(pairs, "label", [1] * 16), val, {"select_by": "probe"}, "1 classes"),
        (pairs, elsewhere, {"select_by": "probe"}, "0 such val images"),
    ]:
        with pytest.raises(UserError, match=message):
            check_pairs(train, choose, recipe(**options), stage="tune")
    check_pairs(pairs, none, recipe(), stage="tune")
    check_pairs(unlabeled, val, recipe(select_by="retrieval"), stage="tune")
    check_pairs(pairs, bare, recipe(select_by="probe"), stage="tune")
