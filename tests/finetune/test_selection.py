import pyarrow as pa
import pytest

from gist_ray.encoders.config import ImageLimits
from gist_ray.errors import UserError
from gist_ray.finetune.job import check_pairs
from gist_ray.finetune.selection import probe_score, retrieval_score

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
            check_pairs(train, choose, recipe(**options), "tune")
    check_pairs(pairs, none, recipe(), "tune")
    check_pairs(unlabeled, val, recipe(select_by="retrieval"), "tune")
    check_pairs(pairs, bare, recipe(select_by="probe"), "tune")
