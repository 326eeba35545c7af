import pytest

from gist_ray.texts.language import is_other_language

FOREIGN = {
    "de": [
        "Das Männchen hat eine rote Brust und einen langen dunklen Schwanz",
        "Die Dornier 328 hat ein T-Leitwerk und zwei Propeller an den hohen Tragflächen.",
        "Kleiner Vogel mit gelbem Bauch, schwarzer Kehle, grauem Rücken und weißen Flügelbinden.",
    ],
    "fr": ["Cet avion a une aile haute, deux turbopropulseurs et un empennage en T."],
    "es": ["El macho tiene el pecho rojo y una cola larga y oscura."],
    "nl": ["Het vliegtuig heeft een hoge vleugel, twee schroefturbines en een T-staart."],
    # half of its words are English words too
    "pt": ["O pássaro tem as asas pretas e a cauda a terminar em ponta."],
    # as likely Norwegian as Danish, and surely not English
    "da": ["Flyet har en høj vinge, to turbopropmotorer og en hale, der er formet som et T."],
    "ru": ["У самца красная грудь и длинный тёмный хвост с белыми краями."],
    "zh": ["雄鸟的胸部是红色的，尾巴又长又黑。"],
    "ja": ["雄は赤い胸と長くて暗い尾を持ち、縁は白い。"],
    "th": ["ตัวผู้มีหน้าอกสีแดงและหางยาวสีเข้มมีขอบสีขาว"],
    "ko": ["수컷은 가슴이 붉고 꼬리가 길고 어두우며 가장자리가 희다."],
}

ENGLISH = [
    "The Dornier 328 has a T-tail, a high wing and two turboprop engines.",
    "The male has a red breast and a long, dark tail.",
    "dull brownish-grey plumage, pale eyebrow, dark eyes, conical-shaped bill, no iridescent sheen",
    "patches of purplish-red to deep purple discoloration",
    "A wing of 1.5 m with a white patch.",
    "5 petals around a yellow centre",
]

LISTS = [
    "sleek, low-wing design, twin-engine turboprop, slender fuselage, sturdy build, radial engine",
    "twin turboprop engines, sleek, long-range, retractable landing gear, T-tail, winglets",
    "Bombardier CRJ-900, low-wing design, slender fuselage, drooped nose, S-duct intake",
    "Bombardier CRJ-900, ATR 72, Antonov An-12, Tornado, Falcon 2000, MD-11",
    "Gazania rigens, trumpet-shaped corolla, pale pink petals, lanceolate leaves, drooping racemes",
]


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language in FOREIGN for text in FOREIGN[language]]
)
def test_a_sentence_of_another_language(language, text):
    assert is_other_language(text, "en")
    assert not is_other_language(text, language)


@pytest.mark.parametrize("text", ENGLISH)
def test_a_text_of_the_language(text):
    assert not is_other_language(text, "en")


@pytest.mark.parametrize("text", LISTS)
@pytest.mark.parametrize("language", ["en", "de", "fi"])
def test_a_list_of_nouns_and_names_is_not_judged(text, language):
    assert not is_other_language(text, language)


@pytest.mark.parametrize("text", ["rote Brust", "", "12 34 56 78 90"])
def test_few_words_are_not_judged(text):
    assert not is_other_language(text, "en")
