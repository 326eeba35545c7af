from gist_ray.texts.mine_concepts import mine_concepts

TEXTS = [
    ("The male wren has small brown stripes, and a red beak.", "wren"),
    ("A red beak with brown stripes on grey-blue wings.", "wren"),
    ("The sea eagle shows a red beak and grey blue wings.", "sea eagle"),
]


def test_the_last_words_of_runs_between_function_words_and_punctuation_are_phrases() -> None:
    found = mine_concepts(TEXTS, 100)
    assert found[:2] == ["beak", "red beak"]
    assert set(found) == {"beak", "red beak", "stripes", "brown stripes", "wings"}


def test_a_phrase_with_a_word_of_one_text_alone_is_left_out() -> None:
    again = [*TEXTS, ("Small wings.", "sparrow")]
    assert {"small brown stripes", "small wings"} <= set(mine_concepts(again, 100))
    assert "small brown stripes" not in mine_concepts(TEXTS, 100)


def test_the_name_of_the_class_is_no_concept() -> None:
    twice = [*TEXTS, ("A sea eagle with a big eagle beak.", "sea eagle"), ("The wren.", "wren")]
    found = mine_concepts(twice, 100)
    assert not {"sea eagle", "wren", "male wren"} & set(found)
    # part of a name may be shared by classes
    assert "eagle" in found


def test_spellings_of_one_phrase_count_together_and_the_first_is_kept() -> None:
    texts = [("Eye-shaped spots.", "a"), ("eye shaped spots", "b"), ("dots", "a"), ("dots", "b")]
    found = mine_concepts([*texts, ("eye-shaped", "c"), ("spots", "c")], 100)
    assert "eye-shaped spots" in found
    assert "eye shaped spots" not in found


def test_the_phrases_of_most_texts_are_kept() -> None:
    assert mine_concepts(TEXTS, 2) == ["beak", "red beak"]
