"""One self-contained HTML page that sends no request and escapes everything it shows."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gist_ray.report.page import wording

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Section:
    """One part of a page. anchor: its id, for links of the navigation; template: its file; values:
    names that only its template reads, besides those of the page."""

    anchor: str
    title: str
    template: str
    values: Mapping[str, Any]


def document(
    folder: Path,
    template: str,
    values: Mapping[str, Any],
    *,
    filters: Mapping[str, Callable[..., Any]],
    sections: Sequence[Section] = (),
) -> str:
    """Returns the HTML of `template`, a child of page.html, rendered with `values`.

    Templates and style sheets (*.css, added to the page's own) are read from `folder`. The filters
    are those of `wording` and the given ones. `template` reads the anchor, title and html of each
    section from `sections`. All strings are escaped; a content security policy in the page forbids
    all requests and all scripts except the table sorting.
    """
    sheets = [FOLDER / "page.css", *sorted(folder.glob("*.css"))]
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader([folder, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        confidence_level=wording.confidence_level,
        count=wording.count,
        duration=wording.duration,
        or_more=wording.or_more,
        percent=wording.percent,
        points=wording.points,
        shorten=wording.shorten,
        **filters,
    )
    environment.globals["interval"] = wording.interval
    made = [
        {
            "anchor": section.anchor,
            "title": section.title,
            "html": Markup(
                environment.get_template(section.template).render({**values, **section.values})
            ),
        }
        for section in sections
    ]
    return environment.get_template(template).render(
        values,
        sections=made,
        css=Markup("\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)),
        script=Markup(script),
        script_hash=_csp_hash(script),
    )


def _csp_hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
