"""The captions of emoji in pretraining: the CLDR name in several wordings, and the keywords."""

from gist_ray.demo.emoji.catalogue import Emoji

MAX_TAGS = 4


def captions(emoji: Emoji) -> list[str]:
    """Returns the distinct captions of an emoji. The first is the one that retrieval uses."""
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
