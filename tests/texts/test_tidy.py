import pytest

from gist_ray.texts.tidy import tidy


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("  A red bird.\n", "A red bird."),
        ('"A red bird."', "A red bird."),
        ("“A red bird.”", "A red bird."),
        ("Caption: 'A red bird.'", "A red bird."),
        ("Image caption: A red bird.", "A red bird."),
        ("1. A red bird.", "A red bird."),
        ("- A red bird.", "A red bird."),
        ("**A red bird** with\n\na  tail.", "A red bird with a tail."),
        ("Sure! Here is a caption:\n\nA red bird.", "A red bird."),
        ("<think>male or female?</think>A red bird.", "A red bird."),
        ('{"text": "A red bird."}', "A red bird."),
        ('{"text": "A red bi', ""),
        ('{"caption": "A red bird."}', ""),
        ('"Red" and "blue"', '"Red" and "blue"'),
        ("737-200 jet", "737-200 jet"),
        ("", ""),
    ],
)
def test_packaging_comes_off(raw, text):
    assert tidy(raw) == text


def test_of_a_cut_answer_the_whole_sentences_stay():
    assert tidy("A red bird. It has 1.5 cm of", is_complete=False) == "A red bird."
    assert tidy("A red bird with a", is_complete=False) == ""
    assert tidy("A red bird with a") == "A red bird with a"
