import pytest

from gist_ray.report.render import render
from tests.report.test_slices import ROWS

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens_without_an_error(open_page, make_report_data, tmp_path, width):
    page = render(make_report_data(slices=ROWS))
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    browser = open_page(tmp_path / "report.html", width)
    assert browser.execute_script("return document.images.length") > 10


def test_a_click_sorts(open_page, make_report_data, tmp_path):
    (tmp_path / "report.html").write_text(render(make_report_data()), encoding="utf-8")
    browser = open_page(tmp_path / "report.html")
    table = browser.find_element("css selector", "#results table.sortable")

    def values():
        cells = table.find_elements("css selector", "tbody td:nth-child(2)")
        return [float(cell.get_attribute("data-sort")) for cell in cells]

    button = table.find_elements("css selector", "thead button")[0]
    button.click()
    assert values() == sorted(values(), reverse=True)
    button.click()
    assert values() == sorted(values())
    assert len(set(values())) > 2
