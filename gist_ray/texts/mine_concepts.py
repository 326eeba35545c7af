"""Text concepts mined from the texts of the classes: short phrases such as "brown stripes".

The candidates are those of RAKE (Rose et al. 2010, "Automatic keyword extraction from individual
documents", section 1.2.1): the runs of words between function words and punctuation. The rest is
our choice. Of each run the last one, two and three words are phrases, for in English what names the
thing stands last: "small brown stripes", "brown stripes" and "stripes". Phrases with a word that
one text alone uses are left out: most are slips of a language model. The function words are
English.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from gist_ray.texts.checks import names_class
from gist_ray.texts.names import normal_form

MAX_WORDS = 3
MIN_TEXTS = 2

DETERMINERS_AND_CONJUNCTIONS = """
a an the this that these those each every both all some any no another other either its their his
her it they he she we you i them him who which whose and or but nor so yet if than as while when
"""
PREPOSITIONS = """
of in on at by to from with without within into onto over under above below across along around
against among between behind beside through throughout near off out up down for about like not
"""
VERBS_AND_ADVERBS = """
is are was were be been being has have had having do does can could may might will would should must
shows show showing shown displays display displaying bears bear bearing features featuring featured
exhibits exhibiting marked marking framed edged crossed covered adorned accented characterized
distinguished appears appear seen looks look often usually typically sometimes also very more most
less quite rather
"""
FUNCTION_WORDS = frozenset(
    (DETERMINERS_AND_CONJUNCTIONS + PREPOSITIONS + VERBS_AND_ADVERBS).split()
)

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_PUNCTUATION = re.compile(r"[^\w\s'’-]+")


def mine_concepts(texts: Iterable[tuple[str, str]], max_concepts: int) -> list[str]:
    """Returns at most `max_concepts` phrases in lower case, those of most texts first, of equal
    numbers the one that comes first. No two differ only in spelling (`normal_form`), and each of
    their words is in MIN_TEXTS texts or more.

    texts: (text, name of its class). A phrase that holds the name of its text's class is none.
    """
    counts: Counter[str] = Counter()
    word_counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for text, class_name in texts:
        word_counts.update(set(_WORD.findall(text.casefold())))
        phrases = {normal_form(phrase): phrase for phrase in _phrases(text)}
        for form, phrase in phrases.items():
            if not names_class(phrase, class_name):
                counts[form] += 1
                spelling.setdefault(form, phrase)
    ranked = (spelling[form] for form, _ in counts.most_common())
    found = (
        phrase
        for phrase in ranked
        if min(word_counts[word] for word in phrase.split()) >= MIN_TEXTS
    )
    return list(islice(found, max_concepts))


def _phrases(text: str) -> Iterator[str]:
    for piece in _PUNCTUATION.split(text.casefold()):
        run: list[str] = []
        # a function word ends the last run
        for word in [*_WORD.findall(piece), "a"]:
            if word not in FUNCTION_WORDS:
                run.append(word)
                continue
            for length in range(1, min(MAX_WORDS, len(run)) + 1):
                yield " ".join(run[-length:])
            run = []
