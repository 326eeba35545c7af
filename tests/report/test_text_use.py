from gist_ray.matching.statistics import CLASS_STATISTICS, TEXT_STATISTICS
from gist_ray.report.text_use import (
    fewest_texts,
    most_used,
    not_label_preserving,
    rejected_by_check,
    short_texts,
    texts_by_id,
)
from gist_ray.schema import TEXTS, table


def texts(rows):
    """rows: (text_id, text, short_text, rejected)"""
    return table(
        [
            {
                "text_id": text_id,
                "set": "class",
                "label": 0,
                "class_name": "Auk",
                "axis": "",
                "prompt_id": "p",
                "sample": 0,
                "prompt": "?",
                "raw": f"raw {text_id}",
                "text": text,
                "short_text": short_text,
                "rejected": rejected,
                "model": "m",
                "sampling_params": "{}",
            }
            for text_id, text, short_text, rejected in rows
        ],
        TEXTS,
    )


def use(text_id, num_used=0, own=0.3, other=0.2):
    return {
        "text_id": text_id,
        "label": 0,
        "class_name": "Auk",
        "num_best": 0,
        "num_used": num_used,
        "own_similarity": own,
        "other_similarity": other,
        "other_label": 1,
        "other_class_name": "Bunting",
        "label_preserving": own >= other,
    }


def test_rejected_are_counted_by_check_with_the_raw_answer_if_nothing_is_left():
    rows = [
        ("t0", "kept", None, None),
        ("t1", "", None, "empty"),
        ("t2", "see http", None, "url"),
        ("t3", "and http", None, "url"),
    ]
    url, empty = rejected_by_check(texts(rows), num_examples=1)
    assert (url.check, url.num_texts, url.examples) == ("url", 2, [("Auk", "see http")])
    assert (empty.check, empty.examples) == ("empty", [("Auk", "raw t1")])
    assert rejected_by_check(texts([])) == []


def test_a_text_is_the_embedded_one_and_its_short_text_stands_beside_it():
    rows = [
        ("t0", "long", "short", None),
        ("t1", "whole", None, None),
        ("t2", "brief", "brief", None),
    ]
    ids = ["t0", "t1", "t2", "gone"]
    assert texts_by_id(texts(rows), ids) == {"t0": "long", "t1": "whole", "t2": "brief"}
    assert short_texts(texts(rows), ids) == {"t0": "short"}


def test_rows_of_texts_have_the_embedded_text_and_what_training_used():
    statistics = table([use("t0", 4, own=0.1), use("t1", 1, own=0.15)], TEXT_STATISTICS)
    rows = texts([("t0", "long", "short", None), ("t1", "whole", None, None)])
    for found in (most_used(statistics, rows, 5), not_label_preserving(statistics, rows, 5)):
        assert [(row["text"], row["short_text"]) for row in found] == [
            ("long", "short"),
            ("whole", None),
        ]


def test_most_used_leaves_unused_texts_out():
    statistics = table([use("t0", 1), use("t1", 4), use("t2", 0)], TEXT_STATISTICS)
    rows = [(f"t{i}", f"text {i}", None, None) for i in range(3)]
    assert [row["text"] for row in most_used(statistics, texts(rows), 5)] == ["text 1", "text 0"]
    assert len(most_used(statistics, texts(rows), 1)) == 1


def test_worst_text_that_keeps_no_label_comes_first():
    statistics = table(
        [use("t0", own=0.2, other=0.21), use("t1"), use("t2", own=0.2, other=0.4)], TEXT_STATISTICS
    )
    rows = [(f"t{i}", f"text {i}", None, None) for i in range(3)]
    found = not_label_preserving(statistics, texts(rows), 5)
    assert [row["text"] for row in found] == ["text 2", "text 0"]


def test_classes_that_lean_on_the_smallest_share_come_first():
    def of_class(name, num_texts, effective):
        return {
            "label": 0,
            "class_name": name,
            "num_images": 3,
            "num_images_without_match": 0,
            "num_texts": num_texts,
            "num_texts_used": 1,
            "effective_num_texts": effective,
            "num_not_label_preserving": 0,
        }

    rows = [of_class("Auk", 2, 2.0), of_class("Bunting", 9, 3.0), of_class("Crow", 3, None)]
    found = fewest_texts(table(rows, CLASS_STATISTICS), 5)
    assert [row["class_name"] for row in found] == ["Bunting", "Auk"]
