"""Columns of the two tables between a prompt set and the finished texts.

PROMPTS has one row per text to write, ANSWERS one row per text written. Both record every input of
the answer, so that a stored answer can be reused.
"""

import pyarrow as pa

PROMPTS = pa.schema(
    [
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        # the axis values of this text joined with ", "; "" if the prompt set has no axes
        pa.field("axis", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        # the messages of a chat as JSON, or the text to be continued
        pa.field("prompt", pa.string(), nullable=False),
        # null, or {"regex": ...} or {"json": ...} as JSON
        pa.field("constraint", pa.string()),
        # the facts that this text is to be made of, {fact: value} as JSON
        pa.field("notes", pa.string(), nullable=False),
    ]
)

ANSWERS = pa.schema(
    [
        *PROMPTS,
        # the model's unchanged answer
        pa.field("raw", pa.string(), nullable=False),
        # "stop", or "length" if the answer was cut at max_tokens or at the end of the context
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("num_prompt_tokens", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        # temperature, top_p, max_tokens, stop and the engine's seed as JSON
        pa.field("sampling_params", pa.string(), nullable=False),
    ]
)
