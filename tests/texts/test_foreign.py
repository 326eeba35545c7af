"""Texts in another language than was asked for: the language found, and the settings to change."""

import pytest

from gist_ray.errors import UserError
from gist_ray.schema import TEXTS, table
from gist_ray.texts.clean import CleaningConfig, clean_texts
from gist_ray.texts.foreign import about_foreign

GERMAN = [
    "Die sechs glatten Blätter bilden einen Kelch auf einem geraden grünen Stiel",
    "Viele kleine gelbe Blüten stehen eng in der Mitte und werden von weißen umgeben",
]
FRENCH = "Les pétales sont rouges et se tiennent serrés dans un bouton qui est presque fermé"
ENGLISH = "the six smooth petals form a cup that stands upon a straight green stem"


def texts_of(**classes: list[str]) -> object:
    rows = [
        {
            "text_id": f"{name}{number}",
            "set": "class",
            "label": label,
            "class_name": name,
            "axis": "",
            "prompt_id": "p",
            "sample": number,
            "prompt": "",
            "raw": text,
            "text": text,
            "model": "",
            "sampling_params": "{}",
        }
        for label, (name, texts) in enumerate(classes.items())
        for number, text in enumerate(texts)
    ]
    return table(rows, TEXTS)


def test_the_language_found_and_the_setting_are_said_once_for_all_classes() -> None:
    given = texts_of(tulip=GERMAN[:1], daisy=GERMAN[1:], rose=[FRENCH], lily=[ENGLISH])
    with pytest.raises(UserError) as raised:
        clean_texts(given, CleaningConfig())
    (problem,) = raised.value.problems
    assert "3 of 4 texts are not in English, which texts.cleaning.language=en asks for" in problem
    assert "2 look like German, 1 look like French (such as 'Die sechs glatten" in problem
    assert "set texts.cleaning.language=de, or leave the check out with" in problem
    assert "No text is left of 3 classes: 'tulip', 'daisy', 'rose'." in problem


def test_the_settings_that_are_named_help() -> None:
    given = texts_of(tulip=GERMAN[:1], daisy=GERMAN[1:])
    for config in (
        CleaningConfig(language="de"),
        CleaningConfig(skip=["class_name_leak", "wrong_language"]),
    ):
        cleaned = clean_texts(given, config)
        assert cleaned.column("rejected").null_count == 2
        assert about_foreign(cleaned, config.language) == ""


def test_an_english_text_among_german_ones_is_named_as_english() -> None:
    cleaned = clean_texts(texts_of(tulip=[*GERMAN, ENGLISH]), CleaningConfig(language="de"))
    assert about_foreign(cleaned, "de").startswith(
        "1 of 3 texts are not in German, which texts.cleaning.language=de asks for: 1 look like "
        f"English (such as {ENGLISH!r})."
    )


def test_a_class_whose_texts_fell_for_several_reasons_is_told_as_before() -> None:
    given = texts_of(tulip=[GERMAN[0], ""], lily=[ENGLISH])
    with pytest.raises(
        UserError, match=r"Class 'tulip': all of its 2 texts were rejected \(1 empty"
    ):
        clean_texts(given, CleaningConfig())
