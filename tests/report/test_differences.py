import pytest

from gist_ray.report.differences import DRAWING_WIDTH, difference_table


def row(method_a, shots, mean, low, high, metric="top1"):
    return {
        "method_a": method_a,
        "method_b": "frozen/h",
        "shots": shots,
        "metric": metric,
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "per_seed": [mean],
    }


ROWS = [
    row("random/h", 5, -0.01, -0.03, 0.01),
    row("gist/h", 5, 0.04, 0.02, 0.06),
    row("gist/h", 1, 0.05, 0.01, 0.09),
    row("gist/h", 1, 0.5, 0.4, 0.6, metric="ece"),
]


def test_headline_pair_comes_first_with_shots_rising():
    table = difference_table(ROWS, "top1", ("gist/h", "frozen/h"), limit=10)
    assert [(d.row["method_a"], d.row["shots"], d.span) for d in table] == [
        ("gist/h", 1, 2),
        ("gist/h", 5, 0),
        ("random/h", 5, 1),
    ]
    assert [d.verdict for d in table] == ["better", "better", "undecided"]


def test_drawings_share_one_scale_around_zero():
    table = difference_table(ROWS, "top1", ("gist/h", "frozen/h"), limit=10)
    assert len({d.zero_x for d in table}) == 1
    widest, lowest = table[0], table[2]
    assert widest.high_x == pytest.approx(DRAWING_WIDTH - 6)
    assert lowest.low_x == pytest.approx(6)
    assert lowest.mean_x < lowest.zero_x < widest.low_x


def test_span_counts_only_the_rows_that_are_shown():
    table = difference_table(ROWS, "top1", ("gist/h", "frozen/h"), limit=1)
    assert [d.span for d in table] == [1]
