import pytest

from gist_ray.report.results import chance_level, method_tables, result_grid


def row(features, method, shots, mean, metric="top1"):
    return {
        "features": features,
        "method": method,
        "split": "test",
        "shots": shots,
        "metric": metric,
        "mean": mean,
        "ci_low": None,
        "ci_high": None,
        "num_seeds": 1,
    }


def test_known_features_come_in_their_usual_order_methods_as_given_and_shots_rise():
    grid = result_grid(
        [
            row("mine", "linear_probe", 5, 0.5),
            row("gist", "zero_shot_texts", 1, 0.5),
            row("gist", "linear_probe", 5, 0.5),
            row("frozen", "linear_probe", 1, 0.5),
        ],
        "top1",
    )
    assert grid.trainings == ["frozen", "gist", "mine"]
    assert list(grid.columns.items()) == [("linear_probe", [1, 5]), ("zero_shot_texts", [1])]


def test_a_method_without_shots_stands_in_every_column_of_its_head():
    grid = result_grid(
        [row("frozen", "h", None, 0.6), row("gist", "h", 1, 0.5), row("gist", "h", 5, 0.7)], "top1"
    )
    assert grid.columns == {"h": [1, 5]}
    assert grid.cells["frozen", "h", 5]["mean"] == 0.6
    assert grid.best == {("frozen", "h", 1), ("gist", "h", 5)}


def test_all_images_is_a_column_of_its_own_for_who_also_has_shots():
    grid = result_grid(
        [row("frozen", "h", None, 0.6), row("gist", "h", 5, 0.7), row("gist", "h", None, 0.9)],
        "top1",
    )
    assert grid.columns == {"h": [5, None]}
    assert grid.cells["gist", "h", None]["mean"] == 0.9
    assert grid.cells["frozen", "h", 5]["mean"] == 0.6
    rows = [row("gist", "h", 1, 0.7), row("gist", "h", None, 0.9), row("all", "h", 5, 0.8)]
    missing = result_grid(rows, "top1")
    assert ("gist", "h", 5) not in missing.cells


def test_a_head_without_any_shots_has_one_column():
    grid = result_grid([row("frozen", "h", None, 0.6)], "top1")
    assert grid.columns == {"h": [None]}
    # nothing to be better than
    assert grid.best == set()


def test_best_calibration_error_is_the_smallest_and_ties_share_it():
    rows = [
        row("a", "h", 1, 0.2, "ece"),
        row("b", "h", 1, 0.1, "ece"),
        row("c", "h", 1, 0.1, "ece"),
    ]
    assert result_grid(rows, "ece").best == {("b", "h", 1), ("c", "h", 1)}


def test_a_grid_is_of_one_test_set():
    rows = [row("gist", "h", 1, 0.7), {**row("gist", "h", 1, 0.4), "split": "test/night"}]
    assert result_grid(rows, "top1").cells["gist", "h", 1]["mean"] == 0.7
    assert result_grid(rows, "top1", "test/night").cells["gist", "h", 1]["mean"] == 0.4


@pytest.mark.parametrize(
    ("metric", "num_classes", "expected"),
    [
        ("top1", 20, 0.05),
        ("top5", 20, 0.25),
        ("top5", 3, 1.0),
        ("ece", 20, None),
        ("top1", 0, None),
    ],
)
def test_chance_level(metric, num_classes, expected):
    assert chance_level(metric, num_classes) == expected


def test_many_methods_are_rows_of_a_table_for_each_training():
    grid = result_grid(
        [
            row("gist", "a", 1, 0.5),
            row("gist", "a", 5, 0.6),
            row("frozen", "b", None, 0.4),
            row("gist", "b", 1, 0.7),
            row("gist", "b", 5, 0.1),
            row("gist", "c", 5, 0.2),
        ],
        "top1",
    )
    frozen, gist = method_tables(grid)
    assert (frozen.training, gist.training) == ("frozen", "gist")
    assert gist.columns == [1, 5]
    means = {head: [cell and cell["mean"] for cell in cells] for head, cells in gist.rows.items()}
    assert means == {"a": [0.5, 0.6], "b": [0.7, 0.1], "c": [None, 0.2]}
    assert gist.best == [0.7, 0.6]
    # measured without shots, so in every column
    assert [cell["mean"] for cell in frozen.rows["b"]] == [0.4, 0.4]
    assert "a" not in frozen.rows
