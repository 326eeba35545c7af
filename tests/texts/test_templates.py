import re

import jinja2
import pytest

from gist_ray.texts.templates import article, escape_regex, render, template_problems


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("robin", "a"),
        ("American crow", "an"),
        ("F-16A/B", "an"),
        ("DC-10", "a"),
        ("A320", "an"),
        ("Fokker 50", "a"),
        ("European robin", "a"),
        ("orange", "an"),
    ],
)
def test_article(noun, expected):
    assert article(noun) == expected


def test_an_escaped_value_matches_itself_and_leaves_spaces_and_hyphens_alone():
    value = "blue-grey (1.5 cm) [a|b] ^$*+?{2}\\"
    assert re.fullmatch(escape_regex(value), value)
    assert escape_regex("blue-grey spots") == "blue-grey spots"


def test_render_strips_and_is_strict_about_names():
    assert render("\n{{ a }} \n", {"a": 1}) == "1"
    with pytest.raises(jinja2.UndefinedError, match="'b' is undefined"):
        render("{{ b }}", {"a": 1})


def test_a_template_cannot_reach_into_python():
    with pytest.raises(jinja2.exceptions.SecurityError):
        render("{{ name.__class__.__mro__ }}", {"name": "x"})


def test_template_problems():
    assert template_problems("{{ article(name) }} {{ name }}", {"name"}) == []
    assert "line 2" in template_problems("a\n{{ name", {"name"})[0]
    (problem,) = template_problems("{{ sex }} {{ name }}", {"name", "form"})
    assert "'sex'" in problem
    assert "form, name" in problem
