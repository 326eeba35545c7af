import pyarrow as pa
import pytest

from gist_ray.matching.statistics import IMAGE_STATISTICS
from gist_ray.report.cards import Card, CardText, choose_images, make_cards, similarity_range
from gist_ray.schema import MANIFEST, MATCHES, TEXTS, table


def statistics(rows):
    """rows: (image_id, label, margin)"""
    return table(
        [
            {
                "image_id": image_id,
                "label": label,
                "own_text_id": "t0",
                "own_similarity": 0.3,
                "other_text_id": None if margin is None else "t9",
                "other_class_name": None if margin is None else "Grebe",
                "other_similarity": None if margin is None else 0.3 - margin,
                "margin": margin,
            }
            for image_id, label, margin in rows
        ],
        IMAGE_STATISTICS,
    )


def test_hardest_take_each_class_once_before_any_twice():
    rows = [("a1", 0, -0.3), ("a2", 0, -0.2), ("b1", 1, 0.1), ("c1", 2, 0.2)]
    assert choose_images(statistics(rows), 0, 3).hardest == ["a1", "b1", "c1"]
    assert choose_images(statistics(rows), 0, 4).hardest == ["a1", "a2", "b1", "c1"]


def test_typical_is_the_median_of_its_class_and_no_image_comes_twice():
    rows = [(f"a{i}", 0, i / 10) for i in range(6)]
    chosen = choose_images(statistics(rows), num_typical=1, num_hardest=1)
    assert chosen.hardest == ["a0"]
    assert chosen.typical == ["a3"]


def test_typical_are_spread_over_the_classes():
    rows = [(f"{label:03d}-{i}", label, 0.1) for label in range(100) for i in range(2)]
    chosen = choose_images(statistics(rows), num_typical=4, num_hardest=0)
    assert chosen.typical == ["000-0", "025-0", "050-0", "075-0"]


def test_choice_does_not_depend_on_the_order_of_rows():
    rows = [(f"{i:02d}", i % 4, (i * 7 % 5) / 10) for i in range(24)]
    assert choose_images(statistics(rows)) == choose_images(statistics(rows[::-1]))


def test_one_class_has_no_margin_and_still_its_cards():
    chosen = choose_images(statistics([("a", 0, None), ("b", 0, None)]))
    assert chosen.hardest == []
    assert chosen.typical == ["a"]


def test_card_holds_texts_best_first_and_the_other_class():
    manifest = table(
        [
            {
                "image_id": "a",
                "uri": "a.png",
                "label": 0,
                "class_name": "Auk",
                "split": "train",
                "group": None,
                "attributes": "{}",
            }
        ],
        MANIFEST,
    )
    matches = table(
        [
            {"image_id": "a", "rank": 1, "text_id": "t1", "similarity": 0.25},
            {"image_id": "a", "rank": 0, "text_id": "t0", "similarity": 0.3},
            {"image_id": "b", "rank": 0, "text_id": "t0", "similarity": 0.9},
        ],
        MATCHES,
    )
    texts = pa.Table.from_pylist(
        [
            {"text_id": "t0", "text": "black and white and long", "short_text": "black and white"},
            {"text_id": "t1", "text": "stout", "short_text": None},
            {"text_id": "t9", "text": "crested", "short_text": None},
        ],
        schema=pa.schema([TEXTS.field(name) for name in ("text_id", "text", "short_text")]),
    )
    # "b" has no row in the manifest
    rows = [("a", 0, 0.1), ("b", 0, 0.1)]
    [card] = make_cards(
        ["a", "b"],
        image_statistics=statistics(rows),
        manifest=manifest,
        matches=matches,
        texts=texts,
    )
    # the similarity is that of the embedded text, not of the short one
    assert [(match.text, match.short_text) for match in card.matched] == [
        ("black and white and long", "black and white"),
        ("stout", None),
    ]
    assert card.matched[0].similarity == pytest.approx(0.3)
    assert (card.class_name, card.other_class, card.other.text) == ("Auk", "Grebe", "crested")
    assert card.margin == pytest.approx(0.1)


def test_bars_begin_below_the_smallest_similarity():
    card = Card("a", "a.png", "Auk", [CardText("x", 0.3)], "Grebe", CardText("y", 0.2), 0.1)
    low, high = similarity_range([card])
    assert (low, high) == (pytest.approx(0.175), 0.3)
    assert similarity_range([]) == (0.0, 1.0)
