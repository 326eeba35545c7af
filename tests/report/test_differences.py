import pytest

from gist_ray.report.differences import DRAWING_WIDTH, difference_table


def row(features_a, shots, mean, low, high, metric="top1"):
    return {
        "features_a": features_a,
        "method_a": "h",
        "features_b": "frozen",
        "method_b": "h",
        "split": "test",
        "shots": shots,
        "metric": metric,
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "per_seed": [mean],
        "detectable": 0.031,
        "p_value": 0.01,
        "p_holm": None,
    }


HEADLINE = (("gist", "h"), ("frozen", "h"))
ROWS = [
    row("random", 5, -0.01, -0.03, 0.01),
    row("gist", 5, 0.04, 0.02, 0.06),
    row("gist", 1, 0.05, 0.01, 0.09),
    row("gist", 1, 0.5, 0.4, 0.6, metric="ece"),
]


def test_headline_pair_comes_first_with_shots_rising():
    table = difference_table(ROWS, "top1", headline=HEADLINE, limit=10, confidence=0.95)
    assert [(d.row["features_a"], d.row["shots"], d.span) for d in table] == [
        ("gist", 1, 2),
        ("gist", 5, 0),
        ("random", 5, 1),
    ]
    assert [d.verdict for d in table] == ["better", "better", "undecided"]


def test_drawings_share_one_scale_around_zero():
    table = difference_table(ROWS, "top1", headline=HEADLINE, limit=10, confidence=0.95)
    assert len({d.zero_x for d in table}) == 1
    widest, lowest = table[0], table[2]
    assert widest.high_x == pytest.approx(DRAWING_WIDTH - 6)
    assert lowest.low_x == pytest.approx(6)
    assert lowest.mean_x < lowest.zero_x < widest.low_x


def test_span_counts_only_the_rows_that_are_shown():
    table = difference_table(ROWS, "top1", headline=HEADLINE, limit=1, confidence=0.95)
    assert [d.span for d in table] == [1]


def test_only_what_excludes_zero_can_stand_the_correction():
    holm = [0.2, 0.04, 0.06, None]
    rows = [{**one, "p_holm": value} for one, value in zip(ROWS, holm, strict=True)]
    table = difference_table(rows, "top1", headline=HEADLINE, limit=10, confidence=0.95)
    # gist at 1 and 5 shots, then random, whose interval includes zero
    assert [d.stands for d in table] == [False, True, None]
