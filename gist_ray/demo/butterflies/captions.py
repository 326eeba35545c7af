"""Captions of drawn butterflies, for pretraining and for the evaluation of a pretrained CLIP."""

import random

from gist_ray.demo.butterflies.attributes import (
    ANTENNAE,
    BACKGROUNDS,
    BODY_COLOURS,
    BORDERS,
    PATTERNS,
    SHAPES,
    SIZES,
    TAILS,
    WING_COLOURS,
    Attributes,
)

PATTERN_PHRASES = {
    "spots": ("{} spots", "{} dots", "{} speckles"),
    "stripes": ("{} stripes", "{} streaks"),
    "eyespots": ("{} eyespots", "{} eye-shaped spots"),
    "band": ("a {} band", "a {} bar across the wing"),
    "tip": ("{} wing tips", "{} tips"),
    "plain": ("plain wings", "unmarked wings"),
}
BACKGROUND_PHRASES = {
    "grass": ("in the grass", "on a green meadow"),
    "sky": ("against the sky", "in the air"),
    "sand": ("on sand", "on the beach"),
    "bark": ("on tree bark", "on a trunk"),
    "flowers": ("on flowers", "among flowers"),
    "stone": ("on a stone", "on grey rock"),
    "paper": ("on white paper", "on a white background"),
}
TAIL_PHRASES = {"none": "no tails", "short": "short tails", "long": "long tails"}
# weights of the parts in the draw of a rich caption
RICH_WEIGHTS = {
    "wings": 6,
    "forewings": 5,
    "hindwings": 4,
    "pattern": 5,
    "border": 3,
    "body": 1.5,
    "tail": 1.5,
    "shape": 1.2,
    "antennae": 1.2,
}
DESCRIBED_PARTS = ("wings", "forewings", "hindwings", "pattern", "border")


def phrases(attributes: Attributes, rng: random.Random) -> dict[str, str]:
    """Returns a short phrase for each part: {"wings": "red wings", "pattern": "white dots", ...}.

    Wings of two colours have "forewings" and "hindwings" instead of "wings".
    """
    found = {}
    if attributes.forewing == attributes.hindwing:
        template = rng.choice(["{} wings", "wings of {}", "{} wing colour"])
        found["wings"] = template.format(attributes.forewing)
    else:
        template = rng.choice(["{} forewings", "{} upper wings"])
        found["forewings"] = template.format(attributes.forewing)
        template = rng.choice(["{} hindwings", "{} lower wings"])
        found["hindwings"] = template.format(attributes.hindwing)
    template = rng.choice(PATTERN_PHRASES[attributes.pattern])
    found["pattern"] = template.format(attributes.pattern_colour)
    if attributes.border == "none":
        found["border"] = "no border"
    else:
        template = rng.choice(["a {} border", "a {} edge", "{} margins"])
        found["border"] = template.format(attributes.border)
    found["body"] = rng.choice(["a {} body", "{} body"]).format(attributes.body)
    found["tail"] = TAIL_PHRASES[attributes.tail]
    found["shape"] = rng.choice(["{} wings", "{} outline"]).format(attributes.shape)
    found["antennae"] = f"{attributes.antennae} antennae"
    return found


def generic_caption(attributes: Attributes, rng: random.Random) -> str:
    """Returns a caption as on the web: few attributes, often the background, sometimes no
    attribute."""
    parts = phrases(attributes, rng)
    kind = rng.random()
    background = rng.choice(BACKGROUND_PHRASES[attributes.background])
    if kind < 0.18:
        template = rng.choice(
            [
                "a photo of a {colour} butterfly",
                "{colour} butterfly",
                "a {size} {colour} butterfly",
                "picture of a {colour} butterfly {background}",
                "butterfly with {colour} wings {background}",
            ]
        )
        return template.format(
            colour=attributes.forewing, size=attributes.size, background=background
        )
    if kind < 0.24:
        template = rng.choice(
            [
                "butterfly {background}",
                "a {size} butterfly {background}",
                "nice photo of a butterfly {background}",
                "insect resting {background}",
            ]
        )
        return template.format(size=attributes.size, background=background)
    num_parts = rng.choice([1, 2, 2, 3, 3, 4])
    picked = _pick(parts, _generic_weights(attributes), num_parts=num_parts, rng=rng)
    template = rng.choice(
        [
            "a butterfly with {parts}",
            "a photo of a butterfly with {parts}",
            "{size} butterfly, {parts}",
            "butterfly showing {parts}",
            "close-up: {parts}",
            "{parts}",
            "a butterfly that has {parts}",
        ]
    )
    caption = template.format(parts=_enumerate(picked), size=attributes.size)
    return f"{caption} {background}" if rng.random() < 0.45 else caption


def rich_caption(attributes: Attributes, rng: random.Random) -> str:
    """Returns a caption as in a field guide: 3 to 5 attributes, mostly colours; 40 % of such
    captions mention the background."""
    parts = phrases(attributes, rng)
    num_parts = rng.choice([3, 4, 4, 5])
    picked = _pick(parts, RICH_WEIGHTS, num_parts=num_parts, rng=rng)
    template = rng.choice(
        [
            "a butterfly with {parts}",
            "{size} butterfly with {parts}",
            "butterfly showing {parts}",
            "{parts}",
            "a butterfly that has {parts}",
        ]
    )
    caption = template.format(parts=_enumerate(picked), size=attributes.size)
    if rng.random() < 0.4:
        caption += " " + rng.choice(BACKGROUND_PHRASES[attributes.background])
    return caption


def full_description(attributes: Attributes, rng: random.Random) -> str:
    """Returns wings, pattern and border in one sentence, the query that retrieves a picture."""
    parts = phrases(attributes, rng)
    described = [parts[part] for part in DESCRIBED_PARTS if part in parts]
    return f"a butterfly with {_enumerate(described)}"


def attribute_prompts() -> dict[str, dict[str, str]]:
    """Returns the zero-shot tasks on held-out pictures, {task: {answer: prompt}}; see
    `attribute_answer`."""
    pattern_nouns = {"band": "a band", "tip": "wing tips"}
    patterns = PATTERNS[1:]
    prompts = {
        "forewing": {c: f"{c} forewings" for c in WING_COLOURS},
        "hindwing": {c: f"{c} hindwings" for c in WING_COLOURS},
        "pattern": {p: pattern_nouns.get(p, p) for p in patterns},
        "coloured_pattern": {
            f"{c} {p}": PATTERN_PHRASES[p][0].format(c) for p in patterns for c in WING_COLOURS
        },
        "border": {c: f"a {c} border" for c in BORDERS[1:]},
        "body": {c: f"a {c} body" for c in BODY_COLOURS},
        "tail": {tail: TAIL_PHRASES[tail] for tail in TAILS},
        "shape": {shape: f"{shape} wings" for shape in SHAPES},
        "antennae": {kind: f"{kind} antennae" for kind in ANTENNAE},
    }
    tasks = {
        task: {answer: f"a butterfly with {phrase}" for answer, phrase in answers.items()}
        for task, answers in prompts.items()
    }
    tasks["size"] = {size: f"a {size} butterfly" for size in SIZES}
    tasks["background"] = {b: f"a butterfly {BACKGROUND_PHRASES[b][0]}" for b in BACKGROUNDS}
    return tasks


def attribute_answer(attributes: Attributes, task: str) -> str | None:
    """Returns the true answer to a task of `attribute_prompts`; None if the task does not apply
    (the pattern of plain wings, the colour of a missing border)."""
    if task == "border" and attributes.border == "none":
        return None
    if task in ("pattern", "coloured_pattern") and attributes.pattern == "plain":
        return None
    if task == "coloured_pattern":
        return f"{attributes.pattern_colour} {attributes.pattern}"
    return str(getattr(attributes, task))


def _generic_weights(attributes: Attributes) -> dict[str, float]:
    """Returns the weights of the parts in a generic caption. A part that is missing has a lower
    weight, since people mention it less often."""
    return {
        "wings": 3,
        "forewings": 3,
        "hindwings": 2,
        "pattern": 0.7 if attributes.pattern == "plain" else 3,
        "border": 0.25 if attributes.border == "none" else 1.4,
        "body": 0.8,
        "tail": 0.2 if attributes.tail == "none" else 0.8,
        "shape": 0.5,
        "antennae": 0.4,
    }


def _pick(
    parts: dict[str, str], weights: dict[str, float], *, num_parts: int, rng: random.Random
) -> list[str]:
    """Returns the phrases of `num_parts` distinct parts, drawn by weight, in random order."""
    left = list(parts)
    picked: list[str] = []
    while len(picked) < min(num_parts, len(parts)):
        part = rng.choices(left, [weights[part] for part in left])[0]
        left.remove(part)
        picked.append(parts[part])
    rng.shuffle(picked)
    return picked


def _enumerate(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
