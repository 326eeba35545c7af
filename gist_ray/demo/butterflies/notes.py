"""Field notes: the facts about each form, from which a language model writes texts."""

from collections.abc import Iterable

from gist_ray.demo.butterflies.attributes import Attributes
from gist_ray.demo.butterflies.species import Species

Facts = dict[str, str]
PATTERN_NOUNS = {
    "spots": "spots",
    "stripes": "stripes",
    "eyespots": "eyespots",
    "band": "band",
    "tip": "tips",
}


def field_notes(species: Iterable[Species]) -> dict[str, dict[str, Facts]]:
    """Returns {class name: {form: facts}}; see `facts`."""
    return {
        one.name: {form: facts(attributes) for form, attributes in one.forms.items()}
        for one in species
    }


def facts(attributes: Attributes) -> Facts:
    """Returns facts such as {"forewings": "grey", "hindwings": "pink", "pattern": "white spots"}.

    "wings" replaces both pairs of one colour. Plain wings have no "pattern" and wings without a
    border no "border".
    """
    if attributes.forewing == attributes.hindwing:
        found = {"wings": attributes.forewing}
    else:
        found = {"forewings": attributes.forewing, "hindwings": attributes.hindwing}
    if attributes.pattern != "plain":
        found["pattern"] = f"{attributes.pattern_colour} {PATTERN_NOUNS[attributes.pattern]}"
    if attributes.border != "none":
        found["border"] = attributes.border
    return found
