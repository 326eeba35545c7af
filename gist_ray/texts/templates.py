"""Jinja templates of prompt sets: sandboxed, since a prompt set may come from anywhere, and strict
about names that do not exist."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment


def article(noun: str) -> str:
    """The indefinite article before `noun`, judged by its first letters.

    Also right for types spelt out letter by letter ("an F-16", "an MD-11") and for vowels that
    sound like consonants ("a European robin").
    """
    if re.match(r"[A-Z](?:[A-Z0-9/-]|$)", noun):
        return "an" if noun[0] in "AEFHILMNORSX" else "a"
    if re.match(r"(?i)eu|uni|use|one\b", noun):
        return "a"
    return "an" if noun[:1].casefold() in set("aeiou") else "a"


def escape_regex(value: str) -> str:
    """`value` as a regular expression that matches it literally.

    Not `re.escape`, which also escapes spaces and hyphens: the engines behind structured outputs
    read a smaller dialect, where those escapes are not defined.
    """
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", value)


_environment = SandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)
_environment.globals = {"article": article}


@cache
def _compile(source: str) -> jinja2.Template:
    return _environment.from_string(source)


def render(source: str, variables: Mapping[str, Any]) -> str:
    """The template filled in, without white space around it.

    Raises jinja2.TemplateError for a variable that does not exist.
    """
    return _compile(source).render(variables).strip()


def template_problems(source: str, allowed: set[str]) -> list[str]:
    """What is wrong with a template that may use the variables `allowed`."""
    try:
        tree = _environment.parse(source)
    except jinja2.TemplateSyntaxError as error:
        return [f"is not a valid Jinja template (line {error.lineno}: {error.message})"]
    unknown = meta.find_undeclared_variables(tree) - allowed - set(_environment.globals)
    return [
        f"uses the variable {variable!r}, which does not exist here; "
        f"there are {', '.join(sorted(allowed))}"
        for variable in sorted(unknown)
    ]
