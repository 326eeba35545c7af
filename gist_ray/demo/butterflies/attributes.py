"""The attributes of a drawn butterfly and their possible values."""

import dataclasses
import json
import random
from dataclasses import dataclass

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 40, 40),
    "orange": (238, 135, 35),
    "yellow": (240, 215, 60),
    "green": (60, 150, 70),
    "blue": (50, 95, 205),
    "purple": (125, 60, 160),
    "pink": (240, 150, 185),
    "brown": (125, 80, 45),
    "black": (28, 26, 30),
    "white": (245, 245, 240),
    "grey": (140, 140, 145),
    "cream": (240, 226, 185),
}
WING_COLOURS = tuple(COLOURS)
PATTERNS = ("plain", "spots", "stripes", "eyespots", "band", "tip")
BORDERS = ("none", "black", "white", "yellow", "brown", "red")
BODY_COLOURS = ("black", "brown", "yellow", "white", "grey")
TAILS = ("none", "short", "long")
SHAPES = ("rounded", "pointed", "scalloped")
ANTENNAE = ("clubbed", "feathery", "thin")
SIZES = ("small", "medium", "large")
BACKGROUNDS = ("grass", "sky", "sand", "bark", "flowers", "stone", "paper")
POSES = ("open", "tilted")
OPEN_POSE_SHARE = 0.65


@dataclass(frozen=True)
class Attributes:
    """A butterfly with its background and pose, which default to those of a field guide's plate."""

    forewing: str
    hindwing: str
    pattern: str
    # drawn only if `pattern` is not "plain"
    pattern_colour: str
    border: str
    body: str
    tail: str
    shape: str
    antennae: str
    size: str
    background: str = "paper"
    pose: str = "open"

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Attributes":
        return cls(**json.loads(text))


def random_attributes(rng: random.Random) -> Attributes:
    """Returns a butterfly with random attributes. A little over half of such butterflies have wings
    of one colour."""
    forewing = rng.choice(WING_COLOURS)
    pattern = rng.choice(PATTERNS)
    border = rng.choice(BORDERS)
    body = rng.choice(BODY_COLOURS)
    tail = rng.choice(TAILS)
    shape = rng.choice(SHAPES)
    antennae = rng.choice(ANTENNAE)
    size = rng.choice(SIZES)
    background = rng.choice(BACKGROUNDS)
    hindwing = forewing if rng.random() < 0.5 else rng.choice(WING_COLOURS)
    return Attributes(
        forewing=forewing,
        hindwing=hindwing,
        pattern=pattern,
        pattern_colour=rng.choice([c for c in WING_COLOURS if c not in (forewing, hindwing)]),
        # a border of the wing's own colour would be invisible
        border="none" if border == forewing else border,
        body=body,
        tail=tail,
        shape=shape,
        antennae=antennae,
        size=size,
        background=background,
    )


def random_pose(rng: random.Random) -> str:
    return "open" if rng.random() < OPEN_POSE_SHARE else "tilted"
