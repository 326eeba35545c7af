"""What an emoji is called in pretraining: its CLDR name in several wordings, and its keywords."""

from gist_ray.demo.emoji.catalogue import Emoji

MAX_TAGS = 4


def captions(emoji: Emoji) -> list[str]:
    """The name first, as it is asked for in retrieval; no caption twice."""
    base, _, variant = emoji.name.partition(": ")
    worded = [
        f"an emoji of {emoji.name}",
        emoji.name,
        f"{base} with {variant}" if variant else base,
        base,
        f"a picture of {base}",
    ]
    if emoji.tags:
        worded.append(", ".join(emoji.tags[:MAX_TAGS]))
        worded += [f"{base}, {tag}" for tag in emoji.tags[:2]]
    return list(dict.fromkeys(worded))
