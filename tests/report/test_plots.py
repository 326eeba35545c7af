import xml.etree.ElementTree as ET

from gist_ray.report.plots import results_plot
from gist_ray.report.results import result_grid


def row(features, method, shots, mean):
    return {
        "features": features,
        "method": method,
        "split": "test",
        "shots": shots,
        "metric": "top1",
        "mean": mean,
        "ci_low": mean - 0.02,
        "ci_high": mean + 0.02,
        "num_seeds": 3,
    }


def plot(rows, **options):
    grid = result_grid(rows, "top1")
    given = {"seeds": {}, "focus": "gist", "reference": "frozen", "chance": None, **options}
    return ET.fromstring(results_plot(grid, **given))


def written(svg):
    return [text for element in svg.iter() if (text := (element.text or "").strip())]


def test_panels_are_named_by_head_and_shots():
    svg = plot([row(t, "linear_probe", s, 0.5) for t in ("frozen", "gist") for s in (1, 5)])
    assert {"linear probe", "1 shot", "5 shots", "GIST", "frozen"} <= set(written(svg))


def test_names_from_data_stay_text():
    name = "<script>alert(1)</script> $x_$ \x00 & \" ' ]]>"
    svg = plot([row(name, "h", 1, 0.5), row("gist", "h", 1, 0.6)])
    assert not [element for element in svg.iter() if "script" in element.tag.lower()]
    # formulas are not read, control characters would make the SVG unreadable
    assert any("<script>" in text for text in written(svg))


def test_it_brings_no_style_sheet_and_its_references_resolve():
    svg = plot([row("gist", "h", 1, 0.6)], seeds={("gist", "h", 1): [0.59, 0.61]})
    assert not [element for element in svg.iter() if element.tag.endswith("}style")]
    ids = {element.get("id") for element in svg.iter()} - {None}
    assert ids
    assert all(name.startswith("results-") for name in ids)
    used = [
        value
        for element in svg.iter()
        for name, value in element.attrib.items()
        if name.endswith("}href")
    ]
    assert used
    assert {value[1:] for value in used} <= ids


def test_any_number_of_methods_fits():
    wide = written(plot([row("gist", "h", shots, 0.5) for shots in range(9)]))
    assert sum(text.endswith((" shots", " shot")) for text in wide) == 6
    high = written(plot([row("gist", f"h{number}", 1, 0.5) for number in range(12)]))
    assert sum(text == "1 shot" for text in high) == 8
    assert "GIST" in written(plot([row("gist", "h", None, 0.5)]))
