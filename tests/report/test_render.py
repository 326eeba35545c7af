import dataclasses
import re

import pyarrow as pa
import pytest

from gist_ray.report.render import render
from gist_ray.schema import ERRORS, MANIFEST, METRICS, table
from tests.report.page.reading import Page

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></style></svg>{{ 7 * 7 }}&lt;"


def poisoned(value: pa.Table | list | dict, keep: set[str]):
    """Every string outside the columns `keep` followed by the attack."""
    if isinstance(value, pa.Table):
        rows = [
            {k: v + ATTACK if isinstance(v, str) and k not in keep else v for k, v in row.items()}
            for row in value.to_pylist()
        ]
        return table(rows, value.schema)
    if isinstance(value, list):
        return [poisoned(item, keep) for item in value]
    if isinstance(value, dict):
        return {
            k: v + ATTACK if isinstance(v, str) and k not in keep else poisoned(v, keep)
            for k, v in value.items()
        }
    return value


def test_every_section_is_there(make_report_data):
    html = render(make_report_data())
    page = Page(html)
    sections = [attrs["id"] for attrs in page.of("section")]
    assert sections == [
        "results", "slices", "flow", "cards", "confusions", "texts", "data", "errors",
        "configuration",
    ]  # fmt: skip
    text = " ".join(page.text)
    for expected in ("GIST + linear probe", "0123abc", "learning_rate: 3.0e-4", "list remnant",
                     "best of another class", "image file is truncated", "chance"):  # fmt: skip
        assert expected in text


def test_a_similarity_stands_beside_the_text_that_was_matched_and_a_short_text_is_named(
    make_report_data,
):
    data = make_report_data()
    rows = [{**row, "text": f"Matched {i}.", "short_text": f"Trained {i}."}
            for i, row in enumerate(data.texts.to_pylist())]  # fmt: skip
    html = render(make_report_data(texts=table(rows, data.texts.schema)))
    cards = html[html.index('<section id="cards">') : html.index('<section id="confusions">')]
    num_similarities = cards.count('<span class="measure">')
    matched = re.findall(r'<span class="text">Matched \d+\.</span>\s*<span class="measure">', cards)
    assert len(matched) == num_similarities
    short = re.findall(r"trained on:</span> (\w+)", cards)
    # not for the best text of another class
    assert short == ["Trained"] * (num_similarities - cards.count('<div class="other">'))
    assert "trained on:" not in render(data)


def test_imported_pairs_are_called_so(make_report_data):
    html = render(make_report_data(pairs_imported=True))
    assert "fine-tuned on the captions that were imported with the image" in html
    assert "Each image with the captions that were imported with it" in html
    assert "match the image best" not in html


def test_nothing_is_asked_of_a_network(make_report_data):
    html = render(make_report_data())
    page = Page(html)
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            if name in attrs:
                assert attrs[name].startswith(("data:image/", "#")), attrs
    assert not page.of("link")
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    [policy] = [attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_strings_of_data_and_model_stay_text(make_report_data):
    data = make_report_data()
    keys = {"image_id", "text_id", "own_text_id", "other_text_id", "uri", "metric", "split"}
    fields = {
        name: poisoned(getattr(data, name), keys)
        for name in ("texts", "text_statistics", "class_statistics", "image_statistics",
                     "predictions", "environment", "summary", "differences", "stages", "metrics")
    }  # fmt: skip
    fields["manifest"] = poisoned(data.manifest, {"image_id", "uri", "split", "attributes"})
    errors = [dict.fromkeys(ERRORS.names, ATTACK)]
    clean = Page(render(data))
    html = render(
        make_report_data(
            **fields,
            errors=table(errors, ERRORS),
            name=ATTACK,
            created=ATTACK,
            predictions_of=ATTACK,
            config_yaml=ATTACK,
            headline=tuple(
                (features + ATTACK, "linear_probe" + ATTACK) for features in ("gist", "frozen")
            ),
        )
    )
    page = Page(html)
    assert len(page.of("script")) == len(clean.of("script")) == 1
    assert len(page.of("style")) == 1
    assert all(attrs["src"].startswith("data:image/") for attrs in page.of("img"))
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    # the page was poisoned indeed, also in the plot, and no template was run twice
    assert html.count("&lt;script&gt;") > 50
    assert re.search(r"<text[^>]*>[^<]*&lt;script&gt;", html)
    assert "{{ 7 * 7 }}" in html


def test_a_picture_uri_stays_an_attribute_and_unreadable_ones_have_a_placeholder(make_report_data):
    data = make_report_data()
    html = render(make_report_data(manifest=poisoned(data.manifest, {"image_id", "split"})))
    page = Page(html)
    assert not page.of("img")
    assert html.count("picture cannot be read") > 10
    titles = [attrs["title"] for attrs in page.of("span") if attrs.get("class") == "no-picture"]
    assert all(ATTACK in title for title in titles)


def test_only_the_test_split_is_drawn(make_report_data):
    data = make_report_data()
    val = [{**row, "split": "val", "value": 0.0} for row in data.metrics.to_pylist()]
    with_val = dataclasses.replace(
        data, metrics=pa.concat_tables([data.metrics, table(val, METRICS)])
    )
    assert render(with_val) == render(data)


def test_one_test_set_is_drawn_and_others_are_named(make_report_data):
    data = make_report_data()
    night = {
        "summary": [{**row, "split": "test/night", "mean": 0.0} for row in data.summary],
        "differences": [{**row, "split": "test/night", "mean": 0.9} for row in data.differences],
    }
    values = [{**row, "split": "test/night", "value": 0.0} for row in data.metrics.to_pylist()]
    with_night = dataclasses.replace(
        data,
        metrics=pa.concat_tables([data.metrics, table(values, METRICS)]),
        summary=[*data.summary, *night["summary"]],
        differences=[*data.differences, *night["differences"]],
        differences_over_shots=night["differences"],
    )
    html = render(with_night)
    note = "Further test sets are in metrics.parquet and summary.json: test/night."
    html = html.replace(f'<p class="note">{note}</p>', "")
    # the correction counts what is compared on the others, too
    assert html.replace("looks at 27 differences", "looks at 9 differences") == render(data)
    only_night = render(dataclasses.replace(with_night, split="test/night"))
    assert "On the images of test/night: top-1 accuracy" in only_night
    assert "+90.0" in only_night


def test_intervals_are_called_by_their_confidence(make_report_data):
    html = render(make_report_data(confidence=0.9))
    assert "90 % interval" in html
    assert "95 % interval" not in html


def test_lists_say_how_much_they_leave_out(make_report_data):
    errors = [
        {
            "id": str(i),
            "uri": f"{i}.jpg",
            "stage": "embed_images",
            "kind": "corrupt",
            "message": "x",
        }
        for i in range(50)
    ]
    html = render(make_report_data(errors=table(errors, ERRORS)))
    assert "showing 20 of 50 errors" in html


def test_size_is_bounded_for_many_classes(make_report_data):
    small, large = make_report_data(20), make_report_data(200)
    long_message = [
        {"id": "i", "uri": "u" * 10_000, "stage": "s", "kind": f"k{i}", "message": "m" * 100_000}
        for i in range(100)
    ]
    size = len(render(large))
    assert size < 1.5 * len(render(small)) + 50_000
    worse = dataclasses.replace(large, errors=table(long_message, ERRORS))
    assert len(render(worse)) < size + 100_000


def test_a_run_of_nothing_still_renders(make_report_data):
    empty = {
        "metrics": METRICS.empty_table(),
        "manifest": MANIFEST.empty_table(),
        "summary": [],
        "differences": [],
        "stages": [],
    }
    data = make_report_data()
    for name in ("texts", "matches", "text_statistics", "class_statistics", "image_statistics",
                 "predictions", "errors"):  # fmt: skip
        empty[name] = getattr(data, name).schema.empty_table()
    html = render(make_report_data(**empty))
    for sentence in ("were not compared in this run", "This run has no results", "No row failed",
                     "This run matched no texts", "no predictions with known labels"):  # fmt: skip
        assert sentence in html


@pytest.mark.parametrize(("low", "shown"), [(-0.01, "undecided"), (0.01, "better")])
def test_headline_is_coloured_by_its_verdict(make_report_data, low, shown):
    data = make_report_data()
    differences = [{**row, "ci_low": low, "ci_high": 0.1} for row in data.differences]
    page = Page(render(make_report_data(differences=differences)))
    assert f"headline {shown}" in [attrs.get("class") for attrs in page.of("div")]


def test_many_methods_are_rows_and_those_chosen_on_val_are_marked(make_report_data):
    data = make_report_data()
    [first] = [r for r in data.summary if r["metric"] == "top1" and r["split"] == "test"][:1]
    names = ["linear_probe", "gda", "gda_val", *(f"own {number}" for number in range(7))]
    few, many = (
        render(make_report_data(summary=[{**first, "method": name} for name in given]))
        for given in (names[:8], names)
    )
    labels = ("linear probe (val)", "GDA-CLIP", "GDA-CLIP (val)", "own 6")
    assert all(f'<th scope="row">{label}</th>' in many for label in labels)
    assert "The first 8 of 10 methods are drawn." in many
    assert "evaluated by</th>" not in few
    assert "methods are drawn" not in few
