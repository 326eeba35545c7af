import random
from collections import Counter

import pytest

from gist_ray.demo.butterflies.attributes import (
    COLOURS,
    Attributes,
    random_attributes,
)
from gist_ray.demo.butterflies.captions import (
    attribute_answer,
    attribute_prompts,
    full_description,
    generic_caption,
    phrases,
    rich_caption,
)
from gist_ray.demo.butterflies.corpus import (
    corpus_pairs,
    corpus_row,
    corpus_rows,
)
from gist_ray.schema import PAIRS


def many_butterflies(count: int = 300) -> list[Attributes]:
    rng = random.Random(0)
    return [random_attributes(rng) for _ in range(count)]


def named_colours(text: str) -> set[str]:
    return set(text.replace(",", " ").split()) & set(COLOURS)


@pytest.mark.parametrize("caption", [rich_caption, generic_caption, full_description])
def test_a_caption_names_no_colour_that_is_not_there(caption) -> None:
    rng = random.Random(1)
    for one in many_butterflies():
        shown = {one.forewing, one.hindwing, one.border, one.body}
        if one.pattern != "plain":
            shown.add(one.pattern_colour)
        # "a green meadow", "grey rock", "white paper"
        shown |= {"grass": {"green"}, "stone": {"grey"}, "paper": {"white"}}.get(
            one.background, set()
        )
        text = caption(one, rng)
        assert "{" not in text
        assert named_colours(text) <= shown, (text, one)


def test_rich_captions_tell_more_than_generic_ones() -> None:
    rng = random.Random(2)
    butterflies = many_butterflies()
    rich = sum(len(named_colours(rich_caption(one, rng))) for one in butterflies)
    generic = sum(len(named_colours(generic_caption(one, rng))) for one in butterflies)
    assert rich > 1.3 * generic


def test_phrases_join_wings_of_one_colour() -> None:
    for one in many_butterflies():
        parts = phrases(one, random.Random(3))
        assert ("wings" in parts) == (one.forewing == one.hindwing)
        assert ("forewings" in parts) == ("hindwings" in parts) == ("wings" not in parts)


def test_a_full_description_names_wings_pattern_and_border() -> None:
    one = next(one for one in many_butterflies() if one.pattern == "band" and one.border == "red")
    text = full_description(one, random.Random(4))
    assert {one.forewing, one.hindwing, one.pattern_colour, "red"} <= named_colours(text)


def test_every_attribute_answer_is_among_the_prompts() -> None:
    tasks = attribute_prompts()
    answered = Counter()
    for one in many_butterflies():
        for task, prompts in tasks.items():
            answer = attribute_answer(one, task)
            if answer is not None:
                assert answer in prompts
                answered[task] += 1
    assert answered["forewing"] == 300
    assert 0 < answered["border"] < 300
    assert answered["pattern"] == answered["coloured_pattern"] < 300
    assert tasks["coloured_pattern"]["red spots"] == "a butterfly with red spots"
    assert all(len(set(prompts.values())) == len(prompts) for prompts in tasks.values())


def test_corpus_rows_are_the_same_in_any_order() -> None:
    rows = corpus_rows(20, seed=1).to_pylist()
    assert [corpus_row(index, seed=1) for index in reversed(range(20))] == rows[::-1]
    assert len({row["image_id"] for row in rows}) == len({row["path"] for row in rows}) == 20


def test_held_out_pictures_and_other_seeds_are_other_pictures() -> None:
    tables = [corpus_rows(50, 1), corpus_rows(50, 2), corpus_rows(50, 1, "held_out")]
    for column in ("image_id", "path", "draw_seed"):
        values = [value for rows in tables for value in rows[column].to_pylist()]
        assert len(set(values)) == 150


def test_corpus_pairs_hold_three_captions_and_no_label() -> None:
    rows = corpus_rows(3, seed=1)
    pairs = corpus_pairs(rows, "s3://bucket/corpus")
    assert pairs.schema == PAIRS
    for row, pair in zip(rows.to_pylist(), pairs.to_pylist(), strict=True):
        assert pair["uri"] == f"s3://bucket/corpus/{row['path']}"
        assert pair["captions"] == row["captions"]
        assert len(pair["captions"]) == 3
        assert pair["label"] is None
