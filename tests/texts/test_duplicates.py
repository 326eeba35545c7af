import time
from random import Random

from gist_ray.texts.duplicates import duplicates, near_duplicates, shared_by_classes

TEN_WORDS = "the male has deep red wings with small white spots"


def test_duplicates_differ_in_case_and_punctuation_alone():
    texts = ["Red wings.", "red  wings", "red wing", "Red wings."]
    assert duplicates(texts, ["a", "a", "a", "b"]) == [False, True, False, False]


def test_near_duplicates_have_one_word_more_in_ten_and_none_exchanged():
    texts = [
        TEN_WORDS,
        TEN_WORDS + " everywhere",
        TEN_WORDS.replace("red", "blue"),
        "white spots small with wings red deep has male the",
    ]
    assert near_duplicates(texts, ["a"] * 4, 0.9) == [False, True, False, True]
    assert near_duplicates(texts[:2], ["a", "b"], 0.9) == [False, False]


def test_near_duplicates_of_a_dropped_text_stay():
    # each is near the one before it, but the third is not near the first, which is the kept one
    texts = [TEN_WORDS, TEN_WORDS + " one", TEN_WORDS + " one two"]
    assert near_duplicates(texts, ["a"] * 3, 0.9) == [False, True, False]


def test_near_duplicates_agree_with_comparing_every_pair():
    rng = Random(0)
    texts = [" ".join(rng.sample("abcdefghij", rng.randint(5, 9))) for _ in range(200)]
    kept: list[set[str]] = []
    expected = []
    for text in texts:
        words = set(text.split())
        is_near = any(len(words & other) >= 0.7 * len(words | other) for other in kept)
        expected.append(is_near)
        if not is_near:
            kept.append(words)
    assert near_duplicates(texts, ["a"] * 200, 0.7) == expected


def test_near_duplicates_of_many_texts_are_found_quickly():
    rng = Random(0)
    vocabulary = [f"word{number}" for number in range(4000)]
    texts = [" ".join(rng.sample(vocabulary, 20)) for _ in range(5000)]
    start = time.perf_counter()
    near_duplicates(texts, ["a"] * 5000, 0.9)
    assert time.perf_counter() - start < 10  # every pair would take longer


def test_texts_of_several_classes():
    texts = ["Red wings.", "red wings", "blue wings", "blue wings"]
    assert shared_by_classes(texts, [0, 1, 2, 2]) == [True, True, False, False]
