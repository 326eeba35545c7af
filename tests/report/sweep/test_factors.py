import pytest

from gist_ray.report.sweep.factors import factor_label, find_factors, level_label, make_factor
from gist_ray.report.sweep.tables import Trial


def tiny_trials(key, values):
    return [
        Trial(f"t{i}", "ok", "", {key: value, "same": 1}, 1, 1, {}, 0, 0.0, 0, 0, {})
        for i, value in enumerate(values)
    ]


def test_what_varies_is_a_factor_and_what_does_not_is_none():
    [factor] = find_factors(tiny_trials("a.k", [5, 1, 3, 1]))
    assert (factor.key, factor.label, list(factor.places.values())) == ("a.k", "k", [1, 3, 5])


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1e-5, 1e-4, 1e-3], True),
        ([1.3e-5, 4e-5, 9e-5, 3.1e-4, 8.8e-4], True),
        ([1, 2, 4, 8, 16], True),
        ([0.0, 0.25, 0.5, 1.0], False),
        ([1, 21, 40, 62, 80], False),
        ([1, 2, 3, 5], False),
        ([1e-5, 1e-3], False),
    ],
)
def test_log_axis_where_values_are_even_in_their_orders_of_magnitude(values, log):
    assert make_factor(tiny_trials("x", values), "x").log is log


def test_words_follow_numbers_and_keep_an_order():
    factor = make_factor(tiny_trials("study.shots", ["full", 5, 1]), "study.shots")
    assert factor.level_labels == ["1", "5", "full"]
    assert list(factor.places.values()) == [0, 1, 2]
    assert not factor.numeric
    assert factor.ordered
    assert not make_factor(tiny_trials("x", ["a", "b"]), "x").ordered


def test_values_of_any_kind_have_a_place_and_a_label():
    factor = make_factor(tiny_trials("x", [["a", "b"], None, True, {"y": 1}]), "x")
    assert sorted(factor.places.values()) == [0, 1, 2, 3]
    assert set(factor.level_labels) == {'["a", "b"]', "none", "true", "y 1"}


def test_many_numbers_are_compared_in_groups_of_about_as_many():
    factor = make_factor(tiny_trials("x", [i / 7 for i in range(20)]), "x")
    groups = list(factor.groups().values())
    assert [groups.count(group) for group in range(4)] == [5, 5, 5, 5]
    few = make_factor(tiny_trials("x", [1, 2, 3]), "x")
    assert list(few.groups().values()) == [0, 1, 2]


def test_labels():
    assert factor_label("finetune.learning_rate") == "learning rate"
    assert level_label(0.00012345678) == "0.0001235"
    assert len(level_label("x" * 100)) == 40
    assert [level_label(value) for value in ("", [], {"a": 0.5, "b": {"c": "d"}})] == [
        '""',
        "none",
        "a 0.5, b c d",
    ]
