import pytest

from gist_ray.report.render import render
from gist_ray.report.slices import slice_tables, worst_of_methods
from gist_ray.schema import METRICS, table
from tests.report.page.reading import Page


def row(value, mean, low=None, high=None, p_holm=0.001, attribute="site", **changes):
    """The accuracy on all images is 0.6; low, high: of the difference."""
    enough = mean is not None
    return {
        "features": "gist",
        "method": "linear_probe",
        "split": "test",
        "shots": 5,
        "attribute": attribute,
        "value": value,
        "num_images": 120 if enough else 7,
        "mean": mean,
        "ci_low": mean - 0.05 if enough else None,
        "ci_high": mean + 0.05 if enough else None,
        "difference": mean - 0.6 if enough else None,
        "difference_ci_low": low,
        "difference_ci_high": high,
        "detectable": 0.08 if enough else None,
        "p_value": 0.01 if enough else None,
        "p_holm": p_holm if enough else None,
        **changes,
    }


ROWS = [
    row("Berlin", 0.7, 0.05, 0.15),
    row("Oslo", 0.4, -0.25, -0.15),
    row("Lima", None),
    row(None, 0.62, -0.03, 0.05),
]


def sentence(rows, confidence=0.95):
    [found] = slice_tables(rows, "test", confidence)
    return found.sentence


def test_the_worst_slice_is_named_with_what_is_known_of_it():
    [found] = slice_tables(ROWS, "test", 0.95)
    assert (found.attribute, found.rows, found.worst) == ("site", ROWS, ROWS[1])
    assert found.sentence == (
        "Worst is site = Oslo: 40.0 % [35.0, 45.0] of 120 images, −20.0 points [−25.0, −15.0] from "
        "all. It is shown to be worse than all."
    )


def test_a_worst_slice_that_may_be_chance_says_so():
    unsure = [row("a", 0.6, -0.05, 0.05), row("b", 0.55, -0.12, 0.02)]
    assert "includes zero: it is not shown to be worse than all" in sentence(unsure)
    lucky = [row("a", 0.6, -0.05, 0.05, 0.9), row("b", 0.5, -0.19, -0.01, 0.08)]
    said = sentence(lucky)
    assert "does not stand Holm's correction for the 2 slices compared" in said
    assert "the lowest of many is low by luck too" in said
    assert "shown to be worse" in sentence(lucky, confidence=0.9)


def test_images_without_a_value_may_be_the_worst_and_few_images_are_not():
    missing = [row("a", 0.7, 0.05, 0.15), row("b", None), row(None, 0.5, -0.2, -0.05)]
    assert "Worst is site = (missing): 50.0 %" in sentence(missing)
    assert sentence([row("a", 0.7, 0.05, 0.15), row("b", None)]) == (
        "site: too few images to compare its values."
    )


def metrics_row(method, name, seed, value, num_samples=100, shots=5):
    return {
        "features": "gist",
        "method": method,
        "data": "made",
        "shots": shots,
        "seed": seed,
        "split": "test",
        "slice": name,
        "metric": "top1",
        "value": value,
        "num_samples": num_samples,
        "params": "{}",
    }


def test_every_method_has_its_worst_slice_of_enough_images():
    rows = [
        metrics_row("linear_probe", "", 1, 0.6, 219),
        metrics_row("linear_probe", "", 2, 0.7, 219),
        metrics_row("linear_probe", "site=a", 1, 0.5),
        metrics_row("linear_probe", "site=a", 2, 0.8),
        metrics_row("linear_probe", "site=b", 1, 0.6),
        metrics_row("linear_probe", "site=b", 2, 0.6),
        metrics_row("linear_probe", "site=few", 1, 0.0, 19),
        metrics_row("linear_probe", "site=few", 2, 0.0, 19),
        metrics_row("linear_probe", "site=a", 1, 0.1, shots=1),
        metrics_row("zero_shot_name", "", None, 0.5, 219, shots=None),
        metrics_row("zero_shot_name", "site=a", None, 0.4, shots=None),
        metrics_row("nearest_class_mean", "", 1, 0.5),
    ]
    probe, zero_shot = worst_of_methods(table(rows, METRICS), split="test", metric="top1", shots=5)
    assert (probe.pair, probe.slice, probe.num_images) == (("gist", "linear_probe"), "site=b", 100)
    assert (probe.of_all, probe.value) == (pytest.approx(0.65), pytest.approx(0.6))
    assert (zero_shot.slice, zero_shot.value) == ("site=a", 0.4)


def test_the_page_has_a_table_per_attribute(make_report_data):
    years = [row("2020", 0.6, -0.05, 0.05, attribute="year"), row("2021", None, attribute="year")]
    other = row("elsewhere", 0.1, -0.6, -0.4, split="test/night")
    page = Page(render(make_report_data(slices=[*ROWS, *years, other])))
    text = " ".join(" ".join(page.text).split())
    assert "Top-1 accuracy of GIST + linear probe at 5 shots on the test images" in text
    assert "Worst is site = Oslo" in text
    assert "Lima 7 too few to say" in text
    assert "(missing) 120 62.0" in text
    assert "year: too few images to compare its values." in text
    assert "8.0 points or more" in text
    assert "elsewhere" not in text
    assert "No slices were asked for" in render(make_report_data())


def test_names_of_attributes_and_values_stay_text(make_report_data):
    rows = [row("<b>x</b>", 0.7, 0.05, 0.15, attribute="<i>site")] * 2
    page = Page(render(make_report_data(slices=rows)))
    assert page.of("i") == Page(render(make_report_data())).of("i")
    assert "<b>x</b>" in page.text
