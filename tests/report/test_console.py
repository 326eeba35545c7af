import io

from rich.console import Console

from gist_ray.report.console import results_table


def row(features, method, shots, mean, low=None, high=None):
    return {
        "features": features,
        "method": method,
        "split": "test",
        "shots": shots,
        "metric": "top1",
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "num_seeds": 3,
    }


def printed(summary, **options):
    out = io.StringIO()
    Console(file=out, width=110, color_system=None).print(results_table(summary, **options))
    return out.getvalue()


def test_rows_by_head_and_columns_by_shots():
    text = printed(
        [
            row("gist", "linear_probe", 5, 0.708, 0.684, 0.731),
            row("gist", "linear_probe", 1, 0.41),
            row("frozen", "zero_shot_name", None, 0.2),
        ]
    )
    assert "top-1 accuracy, % [95 % interval]" in text
    [gist] = [line for line in text.splitlines() if "GIST" in line]
    assert gist.index("41.0") < gist.index("70.8 [68.4, 73.1]")
    # what never depends on shots holds in every column
    assert text.count("20.0") == 2


def test_a_table_is_of_one_test_set_and_names_another_than_test():
    rows = [row("gist", "h", 1, 0.7), {**row("gist", "h", 1, 0.4), "split": "test/night"}]
    assert "40.0" not in printed(rows)
    night = printed(rows, split="test/night")
    assert "top-1 accuracy on the images of test/night, %" in " ".join(night.split())
    assert "40.0" in night
    assert "70.0" not in night


def test_names_are_no_markup():
    assert "[red]mine" in printed([row("[red]mine", "h", 1, 0.5)])
