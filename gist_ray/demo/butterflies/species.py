"""The species of a world. Species of a genus share most attributes, and each has three forms."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gist_ray.demo.butterflies.attributes import (
    BORDERS,
    PATTERNS,
    WING_COLOURS,
    Attributes,
    random_attributes,
)
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.names import GENUS_NAMES, species_name
from gist_ray.demo.butterflies.seeding import stream
from gist_ray.errors import UserError

FORM_SHARES = {"male": 0.42, "female": 0.40, "autumn form": 0.18}
# attributes in which the species of a genus differ
VARIABLE = ("forewing", "hindwing", "pattern_colour", "border")
FEMALE_COLOURS = ("brown", "grey", "cream", "orange", "yellow", "white")
AUTUMN_COLOURS = ("brown", "orange", "grey", "yellow", "red")
MAX_TRIES_PER_SPECIES = 500

Look = tuple[str, ...]


@dataclass(frozen=True)
class Species:
    label: int
    name: str
    genus: str
    genus_index: int
    # position within the genus
    index: int
    # {"male": ..., "female": ..., "autumn form": ...}
    forms: dict[str, Attributes]


@dataclass(frozen=True)
class Genus:
    """The attributes that the species of a genus share, and the values they vary over."""

    base: Attributes
    palette: tuple[str, ...]
    second_pattern: str
    female_colours: tuple[str, ...]


def make_species(config: WorldConfig) -> list[Species]:
    """Returns all species of the world, by label: genus after genus, each from its own random
    stream.

    Within a genus no two species share wing colours, pattern and border; within the world no two
    share all attributes.
    Raises UserError if a genus cannot have `species_per_genus` distinct species.
    """
    species: list[Species] = []
    world_looks: set[Attributes] = set()
    for genus_index in range(config.num_genera):
        rng = stream("butterflies genus", config.seed, genus_index)
        all_forms = _make_genus(config, genus_index, rng, world_looks=world_looks)
        taken: set[str] = set()
        for index, forms in enumerate(all_forms):
            name = species_name(
                forms["male"],
                genus_index=genus_index,
                index=index,
                species_per_genus=config.species_per_genus,
                taken=taken,
            )
            taken.add(name)
            genus = GENUS_NAMES[genus_index]
            species.append(Species(len(species), name, genus, genus_index, index, forms))
    return species


def _make_genus(
    config: WorldConfig, genus_index: int, rng: random.Random, *, world_looks: set[Attributes]
) -> list[dict[str, Attributes]]:
    """Returns the forms of each species of one genus, and adds them to `world_looks`."""
    genus = _random_genus(rng)
    genus_looks: set[Look] = set()
    found: list[dict[str, Attributes]] = []
    for _ in range(MAX_TRIES_PER_SPECIES * config.species_per_genus):
        if len(found) == config.species_per_genus:
            break
        forms = _random_forms(genus, rng)
        looks = {_look(form) for form in forms.values()}
        if len(looks) < len(forms) or looks & genus_looks or not _all_visible(forms.values()):
            continue
        complete = {_complete_look(form) for form in forms.values()}
        if complete & world_looks:
            continue
        genus_looks |= looks
        world_looks |= complete
        found.append(forms)
    if len(found) < config.species_per_genus:
        raise UserError(
            f"butterflies: genus {genus_index} of world {config.seed} has a capacity of about "
            f"{len(found)} species that differ in their looks, but species_per_genus is "
            f"{config.species_per_genus}. Ask for more genera with fewer species each: the number "
            "of species is num_genera x species_per_genus."
        )
    return found


def _random_genus(rng: random.Random) -> Genus:
    base = random_attributes(rng)
    pattern = rng.choice(PATTERNS[1:])
    border = rng.choice(BORDERS[1:])
    if border == base.forewing:
        border = "white" if base.forewing != "white" else "black"
    palette = tuple(rng.sample(WING_COLOURS, 7))
    second_pattern = rng.choice([p for p in PATTERNS[1:] if p != pattern])
    female_colours = tuple(rng.sample(FEMALE_COLOURS, 2))
    # background and pose are properties of a picture, not of a species
    base = replace(base, pattern=pattern, border=border, background="paper", pose="open")
    return Genus(base, palette, second_pattern, female_colours)


def _random_forms(genus: Genus, rng: random.Random) -> dict[str, Attributes]:
    """Returns the forms of a candidate species. The male differs from the genus in two attributes,
    and the female and the autumn form differ from the male in colours."""
    changes = {
        attribute: rng.choice(BORDERS[1:] if attribute == "border" else genus.palette)
        for attribute in rng.sample(VARIABLE, 2)
    }
    male = replace(genus.base, **changes)
    if rng.random() < 0.3:
        male = replace(male, pattern=genus.second_pattern)

    female_forewing = rng.choice(genus.female_colours)
    female = replace(
        male,
        forewing=female_forewing,
        hindwing=female_forewing if rng.random() < 0.6 else male.hindwing,
    )
    if rng.random() < 0.5:
        female = replace(female, pattern_colour=rng.choice(genus.palette))

    autumn_colour = rng.choice(AUTUMN_COLOURS)
    autumn = replace(
        male,
        forewing=autumn_colour,
        hindwing=autumn_colour,
        pattern=rng.choice([male.pattern, "plain", genus.second_pattern]),
    )
    return {"male": male, "female": female, "autumn form": autumn}


def _all_visible(forms: Iterable[Attributes]) -> bool:
    """Returns whether pattern and border have other colours than the wings."""
    return all(
        form.pattern_colour not in (form.forewing, form.hindwing) and form.border != form.forewing
        for form in forms
    )


def _look(form: Attributes) -> Look:
    """Returns the visible attributes in which species of a genus have to differ."""
    pattern_colour = "" if form.pattern == "plain" else form.pattern_colour
    return (form.forewing, form.hindwing, form.pattern, pattern_colour, form.border)


def _complete_look(form: Attributes) -> Attributes:
    return form if form.pattern != "plain" else replace(form, pattern_colour="")
