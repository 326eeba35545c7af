"""Which texts a text tower reads to their end, and what it reads of the others."""

from collections.abc import Sequence

import numpy as np
import open_clip
from open_clip.factory import LOCAL_DIR_PREFIX

from gist_ray.encoders.clip import check_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig

TEXTS_AT_ONCE = 1024
"""Number of texts tokenized at once, which bounds the memory of the tokenizer."""

HUB = "hf-hub:"


def fits_context(config: ClipConfig, texts: Sequence[str]) -> list[bool]:
    """Returns which texts fit into the context of a model's text tower. Loads only the tokenizer.

    Each text is also tokenized with a context that is one token longer. A truncated text then has a
    word in the place of the end token.
    """
    return [tokens is None for tokens in tokens_of_cut(config, texts)]


def tokens_of_cut(config: ClipConfig, texts: Sequence[str]) -> list[bytes | None]:
    """Returns, for each text that a model's text tower cuts, the tokens that are left, as bytes;
    None for a text that fits. Loads only the tokenizer."""
    check_clip(config)
    tokenizer = open_clip.get_tokenizer(open_clip_name(config))
    length = tokenizer.context_length
    found: list[bytes | None] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = list(texts[start : start + TEXTS_AT_ONCE])
        cut, longer = tokenizer(some, context_length=length), tokenizer(some, length + 1)
        fits = (longer[:, :length] == cut).all(dim=1).tolist()
        rows = cut.numpy().astype(np.int64)
        found += [
            None if is_whole else row.tobytes() for is_whole, row in zip(fits, rows, strict=True)
        ]
    return found


def has_tokenizer_here(config: ClipConfig) -> bool:
    """Returns whether a model's tokenizer is on this machine: others come from a hub."""
    name = open_clip_name(config)
    if name.startswith(LOCAL_DIR_PREFIX):
        return True
    if name.startswith(HUB):
        return False
    known = open_clip.get_model_config(name) or {}
    return "hf_tokenizer_name" not in known.get("text_cfg", {})
