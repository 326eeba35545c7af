"""Field notes: the true facts about each form, from which a language model writes its texts."""

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
    """{class name: {form: facts}}; see `facts`."""
    return {
        one.name: {form: facts(attributes) for form, attributes in one.forms.items()}
        for one in species
    }


def facts(attributes: Attributes) -> Facts:
    """Such as {"forewings": "grey", "hindwings": "pink", "pattern": "white spots"}.

    "wings" stands for both pairs where they have one colour; plain wings have no "pattern" and
    wings without a border no "border".
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
