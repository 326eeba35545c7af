import json
import re

import pytest

from gist_ray.report.sweep.held_out import held_out_rows
from gist_ray.report.sweep.page import render, write_sweep_report
from gist_ray.report.sweep.tables import read_sweep
from gist_ray.store import storage
from tests.report.page.reading import Page

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></style></svg>{{ 7 * 7 }}&lt;$"


def page_of(fake, folder):
    return render(read_sweep(fake.write(folder)), "no-name")


@pytest.fixture(scope="module")
def whole_page(fake_sweep, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-sweep")
    uri = write_sweep_report(fake_sweep().write(folder))
    assert uri == f"{folder}/report.html"
    return storage.read_text(uri)


def test_every_section_is_there(whole_page):
    page = Page(whole_page)
    assert [attrs["id"] for attrs in page.of("section")] == [
        "configurations", "curves", "factors", "learning", "cost", "trials",
    ]  # fmt: skip
    text = " ".join(page.text)
    for expected in ("tiny-sweep", "Chosen of 8 configurations", "seed (luck of the draw)",
                     "on the test images", "30 min 00 s from start to end",
                     "62.5 % were not computed again", "2026-11-21 10:30 UTC"):  # fmt: skip
        assert expected in text
    links = [attrs["href"] for attrs in page.of("a")]
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {link.removeprefix("#") for link in links} <= ids


def test_it_is_written_to_any_store(fake_sweep):
    folder = fake_sweep(ks=(3,), losses=("infonce",), shots=(5,)).write("memory://sweeps/one")
    uri = write_sweep_report(folder)
    assert uri == "memory://sweeps/one/report.html"
    assert "tiny-sweep" in storage.read_text(uri)
    storage.delete(folder)


def test_nothing_is_asked_of_a_network(whole_page):
    page = Page(whole_page)
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert attrs.get(name, "#").startswith("#"), attrs
    assert not page.of("link")
    assert not re.search(r"url\((?!#)", whole_page)
    [policy] = [attrs["content"] for attrs in page.of("meta") if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_strings_of_trials_stay_text(fake_sweep, tmp_path):
    fake = fake_sweep(losses=("infonce", f"multi{ATTACK}"))
    for number, trial in enumerate(fake.trials):
        trial["params"][f"x.key{ATTACK}"] = [ATTACK, number % 2]
        trial["seconds_by_group"] = {f"finetune{ATTACK}": 1.0}
        trial["trial_id"] += ATTACK
        if number % 5 == 0:
            trial.update(status="failed", error=ATTACK, val_log_loss=None)
        if number % 7 == 0:
            trial["status"] = ATTACK
    for row in [*fake.epochs, *fake.test]:
        row["trial_id"] += ATTACK
    for row in fake.test:
        row["features"] += ATTACK
        row["method"] += ATTACK
    fake.info |= dict.fromkeys(("name", "search"), ATTACK)
    fake.info["environment"] = {ATTACK: ATTACK}
    fake.info["scheduler"] = {"name": ATTACK}
    fake.info["stages"] = {"made": {ATTACK: 1}, "stored": {}}
    html = page_of(fake, tmp_path)
    page = Page(html)
    assert len(page.of("script")) == len(page.of("style")) == 1
    assert not page.of("img")
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    # the page was poisoned indeed, also in the plots, and no template was run twice
    assert html.count("&lt;script&gt;") > 50
    assert re.search(r"<text[^>]*>[^<]*&lt;script&gt;", html)
    assert "{{ 7 * 7 }}" in html


def test_failed_and_stopped_trials_are_shown_with_their_message(fake_sweep, tmp_path):
    fake = fake_sweep()
    message = "finetune.batch_size=1: InfoNCE needs 2 or more."
    for trial in fake.of({"matching.k": 1}):
        trial.update(status="failed", error=message, val_accuracy=None, val_log_loss=None)
    stopped = fake.of({"matching.k": 3})
    for trial in stopped:
        trial["status"] = "stopped"
    fake.info["scheduler"] = {"name": "asha"}
    html = page_of(fake, tmp_path)
    assert html.count(message) >= 2
    text = " ".join(Page(html).text)
    assert "24 ok, 12 stopped early, 12 failed" in text
    assert "stopped early, as others were ahead" in text
    assert "those stopped early are not" in text


@pytest.mark.parametrize(
    "missing", [("sweep.json",), ("test.parquet", "epochs.parquet"), ("trials.parquet",)]
)
def test_half_a_sweep_is_shown_as_far_as_it_goes(fake_sweep, tmp_path, missing):
    fake = fake_sweep()
    fake.info |= {"ended": None, "chosen": None}
    for trial in fake.trials[20:]:
        trial.update(status="not_run", val_accuracy=None, val_log_loss=None, seconds=0.0)
    text = " ".join(Page(render(read_sweep(fake.write(tmp_path, missing)), "half")).text)
    if "trials.parquet" in missing:
        assert "No trial was started." in text
    else:
        assert "20 ok, 28 not run" in text
        assert "Nothing is chosen yet. Ahead so far" in text
    if "epochs.parquet" in missing:
        assert "No epoch is recorded" in text
    if "sweep.json" in missing:
        assert "half" in text


def test_one_trial_alone(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(3,), losses=("infonce",), shots=(5,))
    fake.trials = fake.trials[:1]
    text = " ".join(Page(page_of(fake, tmp_path)).text).replace("\N{NO-BREAK SPACE}", " ")
    assert "Chosen of 1 configuration: the only configuration: val log loss" in text
    assert "There is no other configuration with as many results" in text
    assert "Nothing was varied but the seed." in text
    # of one seed on test: the interval over test images
    value = fake.trials[0]["val_accuracy"] - 0.02
    assert f"[{100 * (value - 0.03):.1f}, {100 * (value + 0.03):.1f}]" in text


def test_what_depends_on_no_draw_stands_there_once(fake_sweep, tmp_path):
    fake = fake_sweep()
    for row in list(fake.test):
        if row["features"] == "frozen":
            value = {"value": 0.5, "ci_low": 0.46, "ci_high": 0.54, "shots": None, "seed": None}
            fake.test.append({**row, **value, "method": "zero_shot_texts"})
    sweep = read_sweep(fake.write(tmp_path))
    found = held_out_rows(sweep, {row["trial_id"] for row in fake.test}, 0.95)
    shown = [(row.pair[0], row.shots) for row in found]
    assert shown == [("gist", "1 shot"), ("gist", "5 shots"),
                     ("frozen", "1 shot"), ("frozen", "5 shots"), ("frozen", "any")]  # fmt: skip
    assert found[-1].cells["top1"] == (0.5, 0.46, 0.54)


def test_too_few_trials_say_so(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1, 3), losses=("infonce",), shots=(5,))
    fake.trials = [trial for trial in fake.trials if trial["seed"] == 1]
    text = " ".join(Page(page_of(fake, tmp_path)).text)
    assert "too few to tell how much each factor matters. It takes 5 at least" in text


def test_a_sweep_on_test_has_curves_of_test(fake_sweep, tmp_path):
    fake = fake_sweep(measure="test", shots=(1, 5, None))
    html = page_of(fake, tmp_path)
    assert "test top-1 accuracy against shots, a line for each value of k" in html
    assert "test top-1 accuracy against k, a line for each value of shots" in html
    assert "gain in test top-1 accuracy, of the tuned model over the one as it came," in html
    assert re.search(r"<small>\[8\.0, 8\.0\]</small>", html)
    assert "on the test images</h3>" not in html


def test_rows_can_be_sorted_by_number(whole_page):
    [head] = re.findall(r'<table class="sortable configurations">.*?</thead>', whole_page, re.S)
    columns = len(re.findall("<th[ >]", head))
    [body] = re.findall(r'<table class="sortable configurations">.*?</tbody>', whole_page, re.S)
    rows = re.findall(r"<tr[ >].*?</tr>", body.split("<tbody>")[1], re.S)
    assert {len(re.findall("<td", row)) for row in rows} == {columns}
    for value in re.findall('data-sort="([^"]*)"', body):
        float(value)


def test_the_size_of_a_page_is_bounded(fake_sweep, tmp_path):
    fake = fake_sweep(ks=tuple(range(1, 200)))
    for number, trial in enumerate(fake.trials):
        trial["error"] = json.dumps({"message": "m" * 10_000, "number": number})
        trial["status"] = "failed"
    html = page_of(fake, tmp_path)
    assert "showing 300 of 398 configurations" in html
    assert "showing 1,000 of 2,388 trials" in html
    assert len(html) < 5_000_000
