"""Detection of duplicates and near-duplicates among texts."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

from gist_ray.texts.names import normal_form


def duplicates(texts: Sequence[str], groups: Sequence[Hashable]) -> list[bool]:
    """Returns, for each text, whether an earlier one of its group differs at most in case and
    punctuation."""
    seen: set[tuple[Hashable, str]] = set()
    found = []
    for text, group in zip(texts, groups, strict=True):
        key = (group, normal_form(text))
        found.append(key in seen)
        seen.add(key)
    return found


def near_duplicates(
    texts: Sequence[str], groups: Sequence[Hashable], threshold: float
) -> list[bool]:
    """Returns, for each text, whether an earlier, kept one of its group has nearly the same words.

    The criterion is a Jaccard similarity of the two sets of words (shared / all) of at least
    `threshold`. At 0.9 two texts of about ten words may differ by one added word, but not by an
    exchanged one.
    """
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    found = [False] * len(texts)
    for indexes in members.values():
        word_sets = [frozenset(normal_form(texts[index]).split()) for index in indexes]
        for index, is_near in zip(indexes, _near(word_sets, threshold), strict=True):
            found[index] = is_near
    return found


def _near(word_sets: Sequence[frozenset[str]], threshold: float) -> list[bool]:
    """Returns which sets are similar to an earlier, kept one.

    Uses prefix filtering (Chaudhuri et al., "A primitive operator for similarity joins", 2006):
    similar sets share one of their few rarest words, so only sets that share one are compared.
    If all words are frequent, these are still many pairs, so sets are compared as bits of an
    integer.
    """
    frequency = Counter(word for word_set in word_sets for word in word_set)
    bit_of = {word: 1 << place for place, word in enumerate(frequency)}
    kept_with: dict[str, list[tuple[int, int]]] = {}
    found = []
    for word_set in word_sets:
        size, bits = len(word_set), sum(bit_of[word] for word in word_set)
        rarest_first = sorted(word_set, key=lambda word: (frequency[word], word))
        prefix = rarest_first[: size - math.ceil(threshold * size) + 1]
        is_near = False
        for word in prefix:
            for other_bits, other_size in kept_with.get(word, ()):
                shared = (bits & other_bits).bit_count()
                if shared >= threshold * (size + other_size - shared):
                    is_near = True
                    break
        found.append(is_near)
        if not is_near:
            for word in prefix:
                kept_with.setdefault(word, []).append((bits, size))
    return found


def shared_by_classes(texts: Sequence[str], classes: Sequence[Hashable]) -> list[bool]:
    """Returns, for each text, whether one of another class differs at most in case and
    punctuation."""
    keys = [normal_form(text) for text in texts]
    classes_of: dict[str, set[Hashable]] = {}
    for key, name in zip(keys, classes, strict=True):
        classes_of.setdefault(key, set()).add(name)
    return [len(classes_of[key]) > 1 for key in keys]
