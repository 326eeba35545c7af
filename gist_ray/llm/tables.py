"""Columns of the two tables between a prompt set and the finished texts.

PROMPTS has one row per text to write, ANSWERS one per text written; both carry everything that
led to the answer, so that no text ever has to be generated twice or guessed about.
"""

import pyarrow as pa

PROMPTS = pa.schema(
    [
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        # the axis values of this text joined with ", "; "" when the prompt set has no axes
        pa.field("axis", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        # for a chat model the messages as JSON, otherwise the text to be continued
        pa.field("prompt", pa.string(), nullable=False),
        # null, or {"regex": ...} or {"json": ...} as JSON
        pa.field("constraint", pa.string()),
        # the facts this text was to be made of, {fact: value} as JSON
        pa.field("notes", pa.string(), nullable=False),
    ]
)

ANSWERS = pa.schema(
    [
        *PROMPTS,
        # the answer as the model gave it
        pa.field("raw", pa.string(), nullable=False),
        # "stop", or "length" when the answer was cut at max_tokens or at the context's end
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("num_prompt_tokens", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        # temperature, top_p, max_tokens, stop and the engine's seed as JSON
        pa.field("sampling_params", pa.string(), nullable=False),
    ]
)
