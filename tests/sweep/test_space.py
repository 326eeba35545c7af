import re

import pytest

from gist_ray.sweep.space import (
    configuration,
    flat_axes,
    grid_points,
    random_points,
    space_problems,
    split_axes,
    with_params,
)


def test_a_space_may_be_written_with_dotted_or_nested_keys() -> None:
    nested = {"matching": {"k": [1, 3]}, "finetune": {"learning_rate": {"loguniform": [1e-5, 1]}}}
    dotted = {"matching.k": [1, 3], "finetune.learning_rate": {"loguniform": [1e-5, 1]}}
    assert flat_axes(nested) == flat_axes(dotted) == dotted


@pytest.mark.parametrize(
    ("axis", "told"),
    [
        ([], "give one or more values, each once"),
        ([1, 1], "give one or more values, each once"),
        (3, "give a list of values, or one of uniform"),
        ({"uniform": [1]}, r"uniform needs \[low, high\]"),
        ({"uniform": [2, 1]}, "needs low < high"),
        ({"loguniform": [0, 1]}, "needs low < high, above 0"),
        ({"randint": [0.5, 3]}, "needs whole numbers"),
    ],
)
def test_an_axis_without_values_is_told(axis: object, told: str) -> None:
    [problem] = space_problems({"some.key": axis})
    assert problem.startswith("some.key")
    assert re.search(told, problem)


def test_seeds_are_never_drawn_from_a_range() -> None:
    [problem] = space_problems({"study.seeds": {"randint": [0, 9]}})
    assert "study.seeds: needs a list" in problem


def test_a_grid_is_every_combination_with_the_last_axis_fastest() -> None:
    points = grid_points({"a": [1, 2], "b": ["x", None]})
    assert points == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
        {"a": 2, "b": None},
    ]
    assert grid_points({}) == [{}]


def test_random_points_are_the_same_for_a_seed_and_differ_from_each_other() -> None:
    axes = {
        "rate": {"loguniform": [1e-5, 1e-1]},
        "share": {"uniform": [0.2, 0.4]},
        "steps": {"randint": [3, 6]},
        "loss": ["infonce", "multi_positive"],
    }
    points = random_points(axes, 40, seed=7)
    assert points == random_points(axes, 40, seed=7)
    assert points != random_points(axes, 40, seed=8)
    assert all(1e-5 <= point["rate"] <= 1e-1 for point in points)
    assert sum(point["rate"] < 1e-3 for point in points) in range(10, 31)  # half of the decades
    assert all(0.2 <= point["share"] <= 0.4 for point in points)
    assert {point["steps"] for point in points} == {3, 4, 5}
    assert {point["loss"] for point in points} == {"infonce", "multi_positive"}


def test_a_small_space_gives_no_point_twice() -> None:
    points = random_points({"a": [1, 2], "b": [3, 4]}, 10, seed=0)
    assert sorted((point["a"], point["b"]) for point in points) == [(1, 3), (1, 4), (2, 3), (2, 4)]


def test_seeds_and_shots_repeat_a_configuration() -> None:
    axes = {"matching.k": [1, 2], "study.seeds": [1, 2, 3], "study.shots": [5, "full"]}
    searched, repeated = split_axes(axes)
    assert searched == {"matching.k": [1, 2]}
    assert repeated == {"study.shots": [5, "full"], "study.seeds": [1, 2, 3]}
    assert configuration({"matching.k": 2, "study.seeds": 3}) == {"matching.k": 2}


def test_params_are_put_where_their_keys_say() -> None:
    base = {"study": {"seeds": [1, 2]}, "matcher": None, "clip": {"model": "a", "pretrained": ""}}
    params = {
        "clip.pretrained": "weights",
        "clip": "other",
        "study.seeds": 7,
        "matcher.model": "third",
        "typo.k": 1,
    }
    groups = {"clip": {"other": {"model": "b", "pretrained": "c"}}}
    assert with_params(base, params, groups) == {
        "study": {"seeds": [7]},
        "matcher": {"model": "third"},
        "clip": {"model": "b", "pretrained": "weights"},
        "typo": {"k": 1},
    }
    assert base["study"] == {"seeds": [1, 2]}
    assert groups["clip"]["other"]["pretrained"] == "c"
