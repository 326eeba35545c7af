"""The second pass, in which a language model shortens each text to one phrase.

GIST trains on shortened texts and matches the long ones. The texts table holds both in one row.
The prompt is ours (the paper's is not published).
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import pyarrow as pa
from pydantic import Field

from gist_ray.llm.config import Sampling
from gist_ray.llm.tables import PROMPTS
from gist_ray.schema import TEXTS, table
from gist_ray.settings.declare import settings
from gist_ray.texts import checks
from gist_ray.texts.prompt_set import Example
from gist_ray.texts.prompting import prompt_text
from gist_ray.texts.templates import escape_regex, render
from gist_ray.texts.tidy import tidy

SHORT_REASONS = (
    "failed",
    "empty",
    "chat_filler",
    "list_remnant",
    "too_many_words",
    "adds_words",
    "changes_facts",
)


@settings
class ShorteningConfig:
    """The settings of the second pass."""

    max_words: Annotated[int, Field(ge=3)] = 20
    """Most words of a short text. A text with no more is its own short text."""

    template: str = (
        "Shorten this description to one phrase of at most {{ max_words }} words. Keep every "
        "colour, part and pattern it mentions, add nothing, and leave out the name.\n\n"
        "Description: {{ text }}"
    )
    """Jinja: `text`, `name` (the class), `max_words`."""

    system: str = "You shorten descriptions of photographs. You answer with the phrase alone."
    """Instruction before everything else."""

    examples: list[Example] = Field(
        default_factory=lambda: [
            Example(
                user="Description: The male of this warbler has a bright yellow breast with thin "
                "black streaks running down its sides. Its back is a soft olive green, and a small "
                "black cap sits on top of its head.",
                assistant="bright yellow breast, thin black streaks on the sides, "
                "olive green back, small black cap",
            )
        ]
    )
    """Few-shot examples."""

    chat: bool = True
    """True: the model's own chat template. False: a plain text that the model continues."""

    held: bool = False
    """Whether decoding may only leave out words of the long text, and none of the prompt set's
    vocabulary: for a model too small to keep the facts. A text without such a word is not held."""

    sampling: Sampling = Field(default_factory=lambda: Sampling(temperature=0.0, max_tokens=64))
    """How answers are drawn."""


def build_shortening_prompts(
    texts: pa.Table, config: ShorteningConfig, vocabulary: Sequence[str] = ()
) -> pa.Table:
    """Returns PROMPTS rows, under their text_id, for those of `texts` (a TEXTS table) that are not
    rejected and have more than max_words words."""
    examples = [
        (
            example.user,
            example.assistant if isinstance(example.assistant, str) else example.assistant[0],
        )
        for example in config.examples
    ]
    rows = []
    for row in texts.to_pylist():
        if row["rejected"] is not None or not _is_too_long(row["text"], config):
            continue
        request = render(
            config.template,
            {"text": row["text"], "name": row["class_name"], "max_words": config.max_words},
        )
        prompt = prompt_text(request, chat=config.chat, system=config.system, examples=examples)
        constraint = _with_words_left_out(row["text"], vocabulary) if config.held else None
        rows.append({**row, "prompt": prompt, "constraint": constraint, "notes": json.dumps({})})
    return table(rows, PROMPTS)


def join_short_texts(
    texts: pa.Table, answers: pa.Table, config: ShorteningConfig, *, vocabulary: Sequence[str] = ()
) -> tuple[pa.Table, dict[str, int]]:
    """Returns `texts` with `short_text` from the ANSWERS of the second pass, and {reason: number of
    texts without a short text}.

    A short text is left out (null) for the reasons "failed" (no answer), "empty", "chat_filler",
    "list_remnant", "too_many_words", "adds_words" (over a third of its words are not in the long
    text) or "changes_facts" (other words of `vocabulary` than the long text).
    """
    answered = {
        row["text_id"]: tidy(row["raw"], is_complete=row["finish_reason"] != "length")
        for row in answers.select(["text_id", "raw", "finish_reason"]).to_pylist()
    }
    short_texts: list[str | None] = []
    reasons: Counter[str] = Counter()
    for row in texts.select(["text_id", "text", "rejected"]).to_pylist():
        if row["rejected"] is not None:
            short_texts.append(None)
        elif not _is_too_long(row["text"], config):
            short_texts.append(row["text"])
        else:
            short = answered.get(row["text_id"])
            reason = _reason_against(row["text"], short, config, vocabulary=vocabulary)
            short_texts.append(None if reason else short)
            reasons.update([reason] if reason else [])
    index = texts.schema.get_field_index("short_text")
    column = pa.array(short_texts, pa.string())
    return (
        texts.set_column(index, TEXTS.field("short_text"), column),
        {reason: reasons[reason] for reason in SHORT_REASONS},
    )


def _with_words_left_out(text: str, vocabulary: Sequence[str]) -> str | None:
    """Returns the constraint whose answers are `text` with words left out, but none of
    `vocabulary`; None if `text` has no word of `vocabulary`."""
    words = checks.words(text)
    kept = [number for number, word in enumerate(words) if word in vocabulary]
    if not kept:
        return None
    start, *rest = range(kept[0], len(words))
    before = "".join(f"({escape_regex(word)},? )?" for word in words[:start])
    after = "".join(
        f",? {escape_regex(words[number])}"
        if number in kept
        else f"(,? {escape_regex(words[number])})?"
        for number in rest
    )
    return json.dumps({"regex": before + escape_regex(words[start]) + after}, ensure_ascii=False)


def _is_too_long(text: str, config: ShorteningConfig) -> bool:
    return len(checks.words(text)) > config.max_words


def _reason_against(
    text: str, short: str | None, config: ShorteningConfig, *, vocabulary: Sequence[str]
) -> str | None:
    if short is None:
        return "failed"
    if checks.is_empty(short):
        return "empty"
    if checks.is_chat_filler(short):
        return "chat_filler"
    if checks.is_list_remnant(short, short):
        return "list_remnant"
    short_words, long_words = checks.words(short), checks.words(text)
    if len(short_words) > config.max_words:
        return "too_many_words"
    # The first five letters approximate a word's stem: "streaked" may become "streaks".
    long_stems = {word[:5] for word in long_words}
    if sum(word[:5] not in long_stems for word in short_words) * 3 > len(short_words):
        return "adds_words"
    if set(vocabulary) & set(short_words) != set(vocabulary) & set(long_words):
        return "changes_facts"
    return None
