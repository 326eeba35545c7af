import pytest

from gist_ray.report.sweep.page import write_sweep_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(fake_sweep, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-sweep")
    fake = fake_sweep(losses=("infonce", "<b>multi</b><script>alert(1)</script>"))
    for trial in fake.of({"matching.k": 3}):
        trial.update(status="failed", error="<img src=x onerror=alert(1)>", val_log_loss=None)
    write_sweep_report(fake.write(folder))
    return folder / "report.html"


@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens_without_an_error(open_page, report, width):
    browser = open_page(report, width)
    assert "tiny-sweep" in browser.title
    assert browser.execute_script("return document.querySelectorAll('main figure svg').length") > 6
    assert "<img src=x onerror=alert(1)>" in browser.find_element("tag name", "main").text


def test_a_click_sorts_down_and_the_next_one_up(open_page, report):
    browser = open_page(report)

    def shown(heading):
        buttons = browser.find_elements("css selector", ".configurations thead button")
        names = [button.text.rstrip(" ↓↑") for button in buttons]
        buttons[names.index(heading)].click()
        cells = f".configurations tbody tr > :nth-child({names.index(heading) + 1})"
        return [cell.text.split("\n")[0] for cell in browser.find_elements("css selector", cells)]

    assert shown("k") == ["10", "10", "5", "5", "3", "3", "1", "1"]
    assert shown("k") == ["1", "1", "3", "3", "5", "5", "10", "10"]
    # by number, and those without one at the end of the falling order
    losses = shown("val log loss")
    assert losses[-2:] == ["–", "–"]
    assert losses[:-2] == sorted(losses[:-2], reverse=True)
    assert len(set(losses)) > 5
