import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.finetune.captions import pairs_of_matches, pairs_of_names
from gist_ray.schema import MANIFEST, MATCHES, SHOTS, TEXTS, table
from gist_ray.texts.prompt_set import Prompt, PromptSet

PROMPTS = PromptSet(
    prompts=[Prompt(id="p", template="Describe {{ name }}.")],
    caption_prefix="{{ name }}:",
    zero_shot_templates=["a {}.", "the {}."],
)
IMAGES = table(
    [
        {"image_id": i, "uri": f"/{i}", "label": 0, "class_name": "wren", "split": "train"}
        | {"attributes": "{}"}
        for i in "abc"
    ],
    MANIFEST,
)
SAMPLE = table([{"image_id": i, "label": 0, "split": "train"} for i in "ab"], SHOTS)
TEXT_ROWS = table(
    [
        {"text_id": "1", "class_name": "wren", "text": "A long text.", "short_text": "Short."},
        {"text_id": "2", "class_name": "wren", "text": "Plain.", "short_text": None},
    ],
    TEXTS,
)


def matches(*rows: tuple[str, int, str]) -> pa.Table:
    names = ("image_id", "rank", "text_id")
    return table(
        [dict(zip(names, row, strict=True)) | {"similarity": 0.5} for row in rows], MATCHES
    )


def captions_of(found: pa.Table) -> pa.Table:
    return pairs_of_matches(IMAGES, SAMPLE, matches=found, texts=TEXT_ROWS, prompts=PROMPTS)


def test_captions_are_the_matched_texts_best_first_and_short_where_there_is_a_short_one() -> None:
    found = matches(("a", 1, "1"), ("a", 0, "2"), ("c", 0, "1"))
    pairs = captions_of(found).to_pylist()
    assert [(pair["image_id"], pair["captions"]) for pair in pairs] == [
        ("a", ["wren: Plain.", "wren: Short."])
    ]


def test_a_sample_without_any_match_is_an_error() -> None:
    with pytest.raises(UserError, match="no image of the few-shot sample has a matched text"):
        captions_of(matches(("c", 0, "1")))


def test_class_names_come_in_every_template() -> None:
    pairs = pairs_of_names(IMAGES, SAMPLE, PROMPTS).to_pylist()
    assert [pair["image_id"] for pair in pairs] == ["a", "b"]
    assert pairs[0]["captions"] == ["a wren.", "the wren."]
