"""Names of genera and species."""

from gist_ray.demo.butterflies.attributes import Attributes


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FAMILIAR_GENERA = _words(
    "Skimmer Lady Ringwing Argus Hopper Monarch Admiral Satyr Emperor Copper Hairstreak Fritillary "
    "Swallowtail Brimstone Heathling Grayling Wanderer Sailor Dancer Sprite"
)
GENUS_STEMS = _words(
    "Amber Ash Birch Bramble Brook Cedar Clover Cloud Cobble Dawn Dusk Ember Fern Field Flint "
    "Frost Garden Gorse Hazel Hedge Hill Hollow Ivy Lantern Leaf Lime Maple Meadow Mist Moon Moor "
    "Moss Night North Oak Pebble Pine Rain Reed Ridge Rowan Rush Sedge Shade Silk Snow South "
    "Spring Star Storm Summer Sun Thistle Thorn Tide Twig Vale Wind Wood Yew"
)
GENUS_ENDINGS = _words(
    "wing flit flutter tail brow veil crest mantle dart eye runner hawk glider fan cloak cape "
    "scarf quill spark page knight squire queen king herald piper drifter spinner weaver seeker "
    "walker watcher guard rider"
)
FAMILIAR_PLACES = _words("Marsh Fen Heath Glade River Dune Orchard Harbour Granite Juniper")
GENUS_NAMES = (
    *FAMILIAR_GENERA,
    *(stem + ending for ending in GENUS_ENDINGS for stem in GENUS_STEMS),
)
PLACES = FAMILIAR_PLACES + _words(
    "Abbey Bay Canyon Castle Chalk Cliff Coast Delta Forest Gorge Island Lagoon Lake Limestone "
    "Mesa Mill Moorland Mountain Oasis Pass Plateau Prairie Quarry Ravine Reef Savanna Shore "
    "Slate Steppe Taiga Terrace Tundra Upland Valley Vineyard Village Wharf Willow Woodland Wold"
)
NAMED_AFTER_PATTERN = {
    "spots": "spotted",
    "stripes": "striped",
    "band": "banded",
    "tip": "tipped",
}


def species_name(
    male: Attributes, *, genus_index: int, index: int, species_per_genus: int, taken: set[str]
) -> str:
    """Returns a name that is not in `taken`, the names of this genus so far.

    Species of even index are named after the look of the male, unless that name is taken; the
    others, as half of those in nature, after a place. Names of different genera differ in the
    genus.
    """
    genus = GENUS_NAMES[genus_index]
    if index % 2 == 0:
        name = f"{_look(male)} {genus}"
        if name not in taken:
            return name
    return f"{PLACES[(genus_index * species_per_genus + index) % len(PLACES)]} {genus}"


def _look(male: Attributes) -> str:
    pattern = NAMED_AFTER_PATTERN.get(male.pattern)
    look = f"{male.pattern_colour}-{pattern}" if pattern else male.forewing
    return look.capitalize()
