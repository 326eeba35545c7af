import json
import re

import pytest

from gist_ray.llm.tables import ANSWERS, PROMPTS
from gist_ray.schema import TEXTS, table
from gist_ray.texts.shorten import ShorteningConfig, build_shortening_prompts, join_short_texts

LONG = "The male has a bright red breast with small white spots, and a very long dark tail."
CONFIG = ShorteningConfig(max_words=10)
COLOURS = ["red", "white", "blue"]


def texts(*found):
    """Rows of (text, rejected)."""
    return table(
        [
            {
                "text_id": str(number),
                "label": 0,
                "class_name": "robin",
                "axis": "male",
                "prompt_id": "p",
                "sample": number,
                "prompt": "",
                "raw": text,
                "text": text,
                "rejected": rejected,
                "model": "m",
                "sampling_params": "{}",
            }
            for number, (text, rejected) in enumerate(found)
        ],
        TEXTS,
    )


def answers(**raws):
    blank = {field.name: "" for field in ANSWERS} | {"label": 0, "sample": 0}
    blank |= {"num_prompt_tokens": 0, "num_tokens": 0, "finish_reason": "stop"}
    return table([{**blank, "text_id": key[1:], "raw": raw} for key, raw in raws.items()], ANSWERS)


def test_only_long_texts_in_use_are_asked_for():
    prompts = build_shortening_prompts(
        texts((LONG, None), ("red breast", None), (LONG, "duplicate")), CONFIG
    )
    assert prompts.schema == PROMPTS
    assert prompts["text_id"].to_pylist() == ["0"]
    request = json.loads(prompts["prompt"][0].as_py())[-1]["content"]
    assert LONG in request
    assert "at most 10 words" in request


def test_held_answers_are_the_text_with_words_left_out_but_none_of_the_vocabulary():
    held = ShorteningConfig(max_words=10, held=True)
    other = LONG.replace("red", "rufous").replace("white", "pale")
    prompts = build_shortening_prompts(texts((LONG, None), (other, None)), held, COLOURS)
    constraint, none = prompts["constraint"].to_pylist()
    assert none is None
    pattern = re.compile(json.loads(constraint)["regex"])
    for short in ("red breast, white spots, long tail", "bright red, white", "the male red white"):
        assert pattern.fullmatch(short), short
    for short in ("red breast", "white spots, red breast", "red breast with blue white", "RED"):
        assert not pattern.fullmatch(short), short


def test_long_and_short_stay_in_one_row():
    joined, counts = join_short_texts(
        texts((LONG, None), ("red breast", None), (LONG, "duplicate")),
        answers(_0="Caption: red breast with white spots, long dark tail"),
        CONFIG,
        vocabulary=COLOURS,
    )
    assert joined.schema == TEXTS
    assert joined["short_text"].to_pylist() == [
        "red breast with white spots, long dark tail",
        "red breast",
        None,
    ]
    assert sum(counts.values()) == 0


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("Sure! Red breast.", "chat_filler"),
        ("It has:", "list_remnant"),
        (LONG, "too_many_words"),
        ("a lovely feathered animal of the red white forest", "adds_words"),
        ("bright red breast, long dark tail", "changes_facts"),
        ("red breast, white spots, blue tail", "changes_facts"),
    ],
)
def test_a_short_text_that_leaves_its_long_one_is_left_out(raw, reason):
    long, short = texts((LONG, None)), answers(_0=raw)
    joined, counts = join_short_texts(long, short, CONFIG, vocabulary=COLOURS)
    assert joined["short_text"].to_pylist() == [None]
    assert {name for name, count in counts.items() if count} == {reason}


def test_a_missing_answer_is_counted():
    joined, counts = join_short_texts(texts((LONG, None)), answers(), CONFIG)
    assert joined["short_text"].to_pylist() == [None]
    assert counts["failed"] == 1
