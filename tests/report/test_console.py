import io

from rich.console import Console

from gist_ray.report.console import results_table


def row(method, shots, mean, low=None, high=None):
    return {
        "method": method,
        "shots": shots,
        "metric": "top1",
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "num_seeds": 3,
    }


def printed(summary):
    out = io.StringIO()
    Console(file=out, width=110, color_system=None).print(results_table(summary))
    return out.getvalue()


def test_rows_by_head_and_columns_by_shots():
    text = printed(
        [
            row("gist/linear_probe", 5, 0.708, 0.684, 0.731),
            row("gist/linear_probe", 1, 0.41),
            row("frozen/zero_shot_name", None, 0.2),
        ]
    )
    assert "top-1 accuracy, % [95 % interval]" in text
    [gist] = [line for line in text.splitlines() if "GIST" in line]
    assert gist.index("41.0") < gist.index("70.8 [68.4, 73.1]")
    # what never depends on shots holds in every column
    assert text.count("20.0") == 2


def test_names_are_no_markup():
    assert "[red]mine" in printed([row("[red]mine/h", 1, 0.5)])
