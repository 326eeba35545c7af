import pytest

from gist_ray.texts import checks

GOOD = (
    "The male has a red breast and a long, dark tail.",
    "dull brownish-grey plumage, pale eyebrow, dark eyes, conical-shaped bill, no iridescent sheen",
    "patches of purplish-red to deep purple discoloration",
    "A wing of 1.5 m with a white patch.",
    "Here, dark streaks run along the sides.",
    "Sure-footed goat with curved horns.",
    "5 petals around a yellow centre",
)


@pytest.mark.parametrize("text", GOOD)
def test_good_texts_pass(text):
    assert not checks.is_empty(text)
    assert not checks.has_url(text)
    assert not checks.is_chat_filler(text)
    assert not checks.is_list_remnant(text, text)


@pytest.mark.parametrize("text", ["", " ", "...", "-"])
def test_empty(text):
    assert checks.is_empty(text)


@pytest.mark.parametrize(
    "text", ["See https://x.y/z", "www.birds are", "more on wikipedia.org today"]
)
def test_url(text):
    assert checks.has_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I don't know this bird.",
        "As an AI, I cannot see it.",
        "Sure! The bird is red.",
        "Here is a caption for your photograph of a robin.",
        "A red bird. Let me know if you need more.",
        "Question: What is it?",
        "I do not have information about this species.",
    ],
)
def test_chat_filler(text):
    assert checks.is_chat_filler(text)


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("red breast 2. dark tail", "1. red breast\n2. dark tail"),
        ("red breast - dark tail", "- red breast\n- dark tail"),
        ("3) dark tail", "x 3) dark tail"),
        ("It has the following features:", "It has the following features:"),
    ],
)
def test_list_remnant(text, raw):
    assert checks.is_list_remnant(text, raw)


def test_a_class_name_in_another_spelling():
    assert checks.names_class("The black-footed albatross is dark.", "Black footed Albatross")
    assert not checks.names_class("The albatross has black feet.", "Black footed Albatross")
    assert not checks.names_class("It crowed.", "Crow")


def test_contradictions():
    colours = ["red", "blue", "cream"]
    facts = ["wings", "deep red", "spots"]
    assert checks.contradictions(
        "Red wings with blue spots.", "x", facts=facts, vocabulary=colours
    ) == ["blue"]
    assert checks.contradictions("Bluish-red wings.", "x", facts=facts, vocabulary=colours) == []
    name = "Cream-spotted Skimmer"
    assert (
        checks.contradictions(
            "The cream-spotted skimmer is red.", name, facts=facts, vocabulary=colours
        )
        == []
    )
