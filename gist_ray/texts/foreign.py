"""Lines about texts that were rejected because they are in another language than was asked for."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import printable
from gist_ray.texts.language import NAMES, Language, likeliest_language

MOST_CHARS_SHOWN = 80
MOST_LANGUAGES = 3


def about_foreign(texts: pa.Table, language: Language) -> str:
    """Returns a sentence on the texts that the check wrong_language rejected, with the languages
    that they look like, an example and the settings that decide; "" if it rejected none.

    texts: TEXTS after the cleaning. language: the one that was asked for.
    """
    rejected = texts.filter(pc.equal(texts.column("rejected"), "wrong_language"))
    foreign: list[str] = rejected.column("text").to_pylist()
    if not foreign:
        return ""
    looks = [likeliest_language(text) for text in foreign]
    counts = Counter(looks).most_common()
    found = [f"{number:,} look like {NAMES[code]}" for code, number in counts[:MOST_LANGUAGES]]
    most = counts[0][0]
    example = foreign[looks.index(most)]
    if len(example) > MOST_CHARS_SHOWN:
        example = f"{example[:MOST_CHARS_SHOWN]}..."
    return (
        f"{len(foreign):,} of {len(texts):,} texts are not in {NAMES[language]}, which "
        f"texts.cleaning.language={language} asks for: {', '.join(found)} (such as "
        f"{printable(example)!r}). If they are meant to be, and the model's text tower has learned "
        f"that language, set texts.cleaning.language={most}, or leave the check out with "
        "texts.cleaning.skip=[class_name_leak,wrong_language]."
    )
