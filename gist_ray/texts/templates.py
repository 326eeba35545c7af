"""Jinja templates of prompt sets. They are sandboxed, since a prompt set may come from an untrusted
source, and an unknown variable is an error."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import SandboxedEnvironment


def article(noun: str) -> str:
    """Returns the indefinite article of `noun`, by its first letters.

    Covers designations that are spelt out ("an F-16", "an MD-11") and vowels that sound like
    consonants ("a European robin").
    """
    if re.match(r"[A-Z](?:[A-Z0-9/-]|$)", noun):
        return "an" if noun[0] in "AEFHILMNORSX" else "a"
    if re.match(r"(?i)eu|uni|use|one\b", noun):
        return "a"
    return "an" if noun[:1].casefold() in set("aeiou") else "a"


def escape_regex(value: str) -> str:
    """Returns a regular expression that matches `value` literally.

    `re.escape` also escapes spaces and hyphens, which the dialect of the engines behind structured
    outputs does not define.
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
    """Returns the rendered template, without surrounding white space.

    Raises jinja2.TemplateError for an unknown variable.
    """
    return _compile(source).render(variables).strip()


def template_problems(source: str, allowed: set[str]) -> list[str]:
    """Returns the problems of a template that may use the variables `allowed`."""
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
