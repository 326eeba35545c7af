"""Class names that are longer than the context of the text tower, looked for before any work."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.context import has_tokenizer_here, tokens_of_cut
from gist_ray.errors import listed, printable
from gist_ray.texts.prompt_set import PromptSet, caption, zero_shot_prompts

SHORTEST_TEXT = "It is red."
"""A caption that leaves no space for this leaves none for any text."""

FIT_ANY_TOWER = 30
"""A caption of so few bytes, each a token at most, is not looked at."""


@dataclass(frozen=True)
class LongNames:
    """What is wrong with the length of class names."""

    problems: list[str]
    """Names that are equal to the text tower."""

    warnings: list[str]
    """Names that it cuts, and names that leave no space for a text."""


def long_names(
    clip: ClipConfig, prompts: PromptSet, classes: Sequence[tuple[int, str]]
) -> LongNames:
    """Looks at each class name in the zero-shot templates and in the caption of a text.

    Returns nothing for a model whose tokenizer would have to be downloaded.
    """
    names = [name for _, name in classes]
    captions = [(name, text) for name in names for text in zero_shot_prompts(prompts, name)]
    long = [(name, text) for name, text in captions if len(text.encode()) > FIT_ANY_TOWER]
    if not long or not has_tokenizer_here(clip):
        return LongNames([], [])
    prefixed = [caption(prompts, name, SHORTEST_TEXT) for name in names]
    left = tokens_of_cut(clip, [*(text for _, text in long), *prefixed])
    of_long, of_prefixed = left[: len(long)], left[len(long) :]
    cut = {pair: tokens for pair, tokens in zip(long, of_long, strict=True) if tokens is not None}
    same: defaultdict[bytes, dict[str, None]] = defaultdict(dict)
    for (name, _), tokens in cut.items():
        same[tokens].setdefault(name)
    groups = {tuple(found) for found in same.values() if len(found) > 1}
    problems = [
        f"clip.model={clip.model}: its text tower reads the first words alone of the class names "
        f"{listed(map(_shown, group), 5)}, and these are the same. Give shorter names in "
        "data.class_names."
        for group in sorted(groups)
    ]
    warnings = []
    if cut:
        shown = listed(dict.fromkeys(_shown(name) for name, _ in cut), 3)
        warnings.append(f"class names that the text tower cuts: {shown}")
    is_full = [tokens is not None for tokens in of_prefixed]
    if full := [name for name, no_space in zip(names, is_full, strict=True) if no_space]:
        warnings.append(
            f"class names that leave no space for a text behind them, so that all their texts are "
            f"too long: {listed(map(_shown, full), 3)}; shorten them in data.class_names, or "
            "shorten prompts.caption_prefix"
        )
    return LongNames(problems, warnings)


def _shown(name: str) -> str:
    """Returns a name's beginning and end: two long ones may differ at the end alone."""
    return printable(name if len(name) <= 60 else f"{name[:30]} ... {name[-25:]}")
