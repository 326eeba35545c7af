"""The species of a world: sister species share most of a genus' look, and each has three forms."""

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
# where the species of a genus differ
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
    # place within the genus
    index: int
    # {"male": ..., "female": ..., "autumn form": ...}
    forms: dict[str, Attributes]


@dataclass(frozen=True)
class Genus:
    """What the species of one genus have in common."""

    base: Attributes
    palette: tuple[str, ...]
    second_pattern: str
    female_colours: tuple[str, ...]


def make_species(config: WorldConfig) -> list[Species]:
    """All species of the world, by label: genus after genus, each made by a stream of its own.

    No two species share a look in wing colours, pattern and border within a genus, nor in all
    attributes within the world.

    Raises UserError where a genus has no room for `species_per_genus` species.
    """
    species: list[Species] = []
    world_looks: set[Attributes] = set()
    for genus_index in range(config.num_genera):
        rng = stream("butterflies genus", config.seed, genus_index)
        all_forms = _make_genus(config, genus_index, world_looks, rng)
        taken: set[str] = set()
        for index, forms in enumerate(all_forms):
            name = species_name(forms["male"], genus_index, index, config.species_per_genus, taken)
            taken.add(name)
            genus = GENUS_NAMES[genus_index]
            species.append(Species(len(species), name, genus, genus_index, index, forms))
    return species


def _make_genus(
    config: WorldConfig, genus_index: int, world_looks: set[Attributes], rng: random.Random
) -> list[dict[str, Attributes]]:
    """The forms of each species of one genus; adds them to `world_looks`."""
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
            f"butterflies: genus {genus_index} of world {config.seed} has room for about "
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
    # scene and pose belong to a picture, not to a species
    base = replace(base, pattern=pattern, border=border, background="paper", pose="open")
    return Genus(base, palette, second_pattern, female_colours)


def _random_forms(genus: Genus, rng: random.Random) -> dict[str, Attributes]:
    """A candidate species: the male differs from the genus in two attributes, and the female and
    the autumn form from the male in colours."""
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
    """Whether pattern and border stand out against the wings."""
    return all(
        form.pattern_colour not in (form.forewing, form.hindwing) and form.border != form.forewing
        for form in forms
    )


def _look(form: Attributes) -> Look:
    """What sister species differ in, as far as it can be seen."""
    pattern_colour = "" if form.pattern == "plain" else form.pattern_colour
    return (form.forewing, form.hindwing, form.pattern, pattern_colour, form.border)


def _complete_look(form: Attributes) -> Attributes:
    return form if form.pattern != "plain" else replace(form, pattern_colour="")
