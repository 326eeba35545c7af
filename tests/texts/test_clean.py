import pytest

from gist_ray.errors import UserError
from gist_ray.llm.tables import ANSWERS
from gist_ray.schema import TEXTS, table
from gist_ray.texts.clean import (
    CHECK_NAMES,
    CleaningConfig,
    clean_texts,
    rejection_counts,
    texts_from_answers,
)


def answers(*raws, finish_reason="stop"):
    return table(
        [
            {
                "text_id": str(number),
                "label": 0,
                "class_name": "robin",
                "axis": "",
                "prompt_id": "p",
                "sample": number,
                "prompt": "?",
                "notes": "{}",
                "raw": raw,
                "finish_reason": finish_reason,
                "num_prompt_tokens": 1,
                "num_tokens": 1,
                "model": "m",
                "sampling_params": "{}",
            }
            for number, raw in enumerate(raws)
        ],
        ANSWERS,
    )


def texts(*rows):
    """Rows of (class name, axis, text)."""
    return table(
        [
            {
                "text_id": str(number),
                "label": 0,
                "class_name": class_name,
                "axis": axis,
                "prompt_id": "p",
                "sample": number,
                "prompt": "",
                "raw": text,
                "text": text,
                "model": "m",
                "sampling_params": "{}",
            }
            for number, (class_name, axis, text) in enumerate(rows)
        ],
        TEXTS,
    )


def reasons(cleaned):
    return cleaned["rejected"].to_pylist()


def test_answers_become_tidied_texts():
    made = texts_from_answers(answers("Caption: red breast.", "2. dark tail"))
    assert made.schema == TEXTS
    assert made["text"].to_pylist() == ["red breast.", "dark tail"]
    assert made["raw"][0].as_py() == "Caption: red breast."
    assert made["set"].to_pylist() == ["class", "class"]


def test_a_cut_answer_without_a_sentence_is_truncated():
    made = texts_from_answers(answers("Red. And", "Red and", finish_reason="length"))
    assert made["text"].to_pylist() == ["Red.", ""]
    assert reasons(clean_texts(made, CleaningConfig())) == [None, "truncated"]


def test_each_text_gets_its_first_reason():
    cleaned = clean_texts(
        texts(
            ("robin", "", "A small bird with a red breast."),
            ("robin", "", ""),
            ("robin", "", "See www.robins and https://x.y"),
            ("robin", "", "I'm sorry, I cannot describe it."),
            ("robin", "", "It has:"),
            ("robin", "", "Das Tier hat eine rote Brust und einen dunklen Schwanz"),
            ("robin", "", "a small bird, with a red breast"),
            ("crow", "", "A small black bird."),
        ),
        CleaningConfig(),
    )
    assert cleaned.schema == TEXTS
    assert reasons(cleaned) == [
        None,
        "empty",
        "url",
        "chat_filler",
        "list_remnant",
        "wrong_language",
        "duplicate",
        None,
    ]
    counts = rejection_counts(cleaned)
    assert list(counts) == [*CHECK_NAMES, "kept"]
    assert (counts["kept"], counts["duplicate"], counts["too_long"]) == (2, 1, 0)


def test_what_is_too_long_is_for_the_caller_to_say():
    asked = []

    def fits(found, class_names):
        asked.extend(zip(found, class_names, strict=True))
        return [len(text) < 8 for text in found]

    cleaned = clean_texts(
        texts(("a", "", "red"), ("a", "", ""), ("a", "", "red wings and tail")),
        CleaningConfig(),
        fits=fits,
    )
    assert reasons(cleaned) == [None, "empty", "too_long"]
    assert asked == [("red", "a"), ("red wings and tail", "a")]


def test_a_rejected_text_makes_no_other_one_a_duplicate():
    notes = {"a": {"": {"wings": "red"}}}
    rows = texts(("a", "", "blue wings"), ("b", "", "blue wings"), ("a", "", "red wings"))
    cleaned = clean_texts(rows, CleaningConfig(), vocabulary=["red", "blue"], notes=notes)
    assert reasons(cleaned) == ["contradicts_notes", None, None]


def test_notes_are_those_of_the_axis():
    notes = {"a": {"male": {"wings": "red"}, "female": {"wings": "blue"}}}
    rows = texts(
        ("a", "male", "red wings"), ("a", "female", "red wings"), ("b", "male", "red tail")
    )
    cleaned = clean_texts(rows, CleaningConfig(), vocabulary=["red", "blue"], notes=notes)
    assert reasons(cleaned) == [None, "contradicts_notes", None]


def test_male_and_female_may_differ_in_one_word():
    long = (
        "has a long dark tail, white wing bars, thin yellow legs and two pale stripes on its head"
    )
    rows = texts(
        ("a", "male", f"The male {long}."),
        ("a", "female", f"The female {long}."),
        ("a", "male", f"The male {long} too."),
    )
    assert reasons(clean_texts(rows, CleaningConfig())) == [None, None, "near_duplicate"]


def test_a_shared_text_goes_from_all_its_classes():
    rows = texts(("a", "", "red"), ("b", "", "Red."), ("a", "", "pink"), ("b", "", "blue"))
    cleaned = clean_texts(rows, CleaningConfig())
    assert reasons(cleaned) == ["shared_by_classes", "shared_by_classes", None, None]


def test_checks_can_be_left_out_and_the_name_check_put_in():
    rows = texts(("red kite", "", "The Red-Kite glides."), ("red kite", "", "a forked tail"))
    assert reasons(clean_texts(rows, CleaningConfig())) == [None, None]
    assert reasons(clean_texts(rows, CleaningConfig(skip=[]))) == ["class_name_leak", None]


def test_classes_that_lose_every_text_are_all_named():
    rows = texts(("a", "", ""), ("a", "", "It has:"), ("b", "", "..."), ("c", "", "red"))
    with pytest.raises(UserError) as caught:
        clean_texts(rows, CleaningConfig())
    assert len(caught.value.problems) == 2
    assert "'a': all of its 2 texts were rejected (1 empty, 1 list_remnant)" in str(caught.value)
    assert "'b'" in str(caught.value)
