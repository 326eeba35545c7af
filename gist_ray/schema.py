"""Column names and Arrow types of the tables that stages share. A column is defined only here."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SPLITS = ("train", "val", "test", "unlabeled")
"""The splits of a manifest. Further test sets are called test/NAME."""

TEST_SETS = r"test(/[A-Za-z0-9][A-Za-z0-9._-]*)?"
"""A regular expression that the names of test sets match as a whole: they name files."""

MANIFEST = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        # null for an unlabeled image
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        # one of SPLITS, or test/NAME
        pa.field("split", pa.string(), nullable=False),
        # images of one group (a patient, a burst, a site) stay in one split; null for none
        pa.field("group", pa.string()),
        # the data set's other facts about the image, as a JSON object
        pa.field("attributes", pa.string(), nullable=False),
    ]
)

TEXTS = pa.schema(
    [
        pa.field("text_id", pa.string(), nullable=False),
        # the named set it belongs to: "class", "names" or "concepts"
        pa.field("set", pa.string(), nullable=False),
        # null for a text that belongs to no class
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        # the variant asked for, such as "male" or "male, on the face"; "" if the prompt has none
        pa.field("axis", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        # the model's unchanged answer; `text` is the tidied answer
        pa.field("raw", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("short_text", pa.string()),
        # null, or the name of the check that rejected the text
        pa.field("rejected", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        # a JSON object
        pa.field("sampling_params", pa.string(), nullable=False),
    ]
)

SHOTS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        # "train" or "val"
        pa.field("split", pa.string(), nullable=False),
    ]
)

MATCHES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # 0 is the best
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)

PAIRS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        # the captions that the image is trained with; one is drawn each time the image is used
        pa.field("captions", pa.list_(pa.string()), nullable=False),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("predicted", pa.int32(), nullable=False),
        pa.field("top5", pa.list_(pa.int32()), nullable=False),
        # the probability of the predicted class
        pa.field("probability", pa.float64(), nullable=False),
        # the text of the predicted class that is most similar to the image; of a method that
        # explains itself, what decided and its share, "red wings (0.31), white spots (0.18)"
        pa.field("explanation", pa.string()),
    ]
)

CLASSIFIED = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        # calibrated on val
        pa.field("probability", pa.float32(), nullable=False),
        # whether the probability is below the threshold; the prediction is given in any case
        pa.field("abstained", pa.bool_(), nullable=False),
        # class names by falling probability, and their probabilities
        pa.field("top5", pa.list_(pa.string()), nullable=False),
        pa.field("top5_probability", pa.list_(pa.float32()), nullable=False),
        # as in PREDICTIONS; the cosine of the image with the text, null for a method that explains
        # itself
        pa.field("explanation", pa.string()),
        pa.field("similarity", pa.float32()),
    ]
)

METRICS = pa.schema(
    [
        # the model of the embeddings: "frozen", or the training that tuned it
        pa.field("features", pa.string(), nullable=False),
        # a key of METHODS
        pa.field("method", pa.string(), nullable=False),
        pa.field("data", pa.string(), nullable=False),
        # training images per class; null for all of them, or if the method uses none
        pa.field("shots", pa.int32()),
        # the seed of the draw; null if nothing is drawn
        pa.field("seed", pa.int32()),
        pa.field("split", pa.string(), nullable=False),
        # the images that the metric is of, as attribute=value; "" for all
        pa.field("slice", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("num_samples", pa.int32(), nullable=False),
        # a JSON object: the backbone, and k if texts were matched
        pa.field("params", pa.string(), nullable=False),
    ]
)

LOOKS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # in pixels, upright
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        # mean, and difference of the 99th and the 1st percentile, of the grey values 0 to 1
        pa.field("brightness", pa.float32(), nullable=False),
        pa.field("contrast", pa.float32(), nullable=False),
        # SHA-256 of the file's bytes
        pa.field("content", pa.string(), nullable=False),
    ]
)

NEIGHBOURS = pa.schema(
    [
        pa.field("pair_id", pa.string(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("other_id", pa.string(), nullable=False),
        # cosine of the embeddings
        pa.field("similarity", pa.float32(), nullable=False),
    ]
)

COMPARED = pa.schema(
    [
        *NEIGHBOURS,
        # same, mirrored or crop, and the correlation of the grey values then
        pa.field("kind", pa.string(), nullable=False),
        pa.field("correlation", pa.float32(), nullable=False),
    ]
)

TESTIMONY = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        # 0 to 1; the higher, the more likely is another label
        pa.field("score", pa.float32(), nullable=False),
        # the most likely label, which may be the image's own
        pa.field("suggested", pa.int32(), nullable=False),
    ]
)

ERRORS = pa.schema(
    [
        # image_id, text_id, or a row number if there is no id yet
        pa.field("id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        # missing, forbidden, throttled, network, too_large, corrupt, empty, bad_embedding, ...
        pa.field("kind", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)

CLASS_TEXTS = "class"
"""The name of the set of the classes' texts."""


def is_test(split: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns which rows of a manifest's split column belong to a test set."""
    return pc.match_substring_regex(split, f"^{TEST_SETS}$")


def test_sets(manifest: pa.Table) -> list[str]:
    """Returns the names of a manifest's test sets: "test" first, then test/NAME by name."""
    splits = pc.unique(manifest.column("split"))
    return sorted(splits.filter(is_test(splits)).to_pylist())


def num_labelled(manifest: pa.Table, split: str) -> int:
    """Returns the number of a manifest's images of one split that have a label."""
    labelled = manifest.filter(pc.is_valid(manifest.column("label")))
    return pc.sum(pc.equal(labelled.column("split"), split)).as_py() or 0


def usable_texts(texts: pa.Table) -> pa.Table:
    """Returns the TEXTS that no check rejected."""
    return texts.filter(pc.is_null(texts.column("rejected")))


TRANSIENT_KINDS = ("throttled", "network", "llm_error")
"""Kinds of errors that a later attempt may not meet again."""


def embeddings(id_column: str, dim: int) -> pa.Schema:
    """Returns the schema of an embedding table: `id_column` ("image_id" or "text_id") and a (dim,)
    float32 vector, L2-normalised."""
    return pa.schema(
        [
            pa.field(id_column, pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), dim), nullable=False),
        ]
    )


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Returns rows as a table of `schema`. A column that a row lacks is null."""
    rows = list(rows)
    return pa.table(
        [pa.array([row.get(field.name) for row in rows], type=field.type) for field in schema],
        schema=schema,
    )


def stable_id(*parts: object) -> str:
    """Returns a stable identifier: the first 16 hex digits of the SHA-256 of the parts."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def stable_ids(values: Iterable[str], *before: object) -> list[str]:
    """Returns `stable_id(*before, value)` of each value."""
    prefix = "".join(f"{part}\x1f" for part in before)
    return [hashlib.sha256(f"{prefix}{value}".encode()).hexdigest()[:16] for value in values]


def error_row(row_id: str, uri: str, *, kind: str, message: str) -> dict[str, str]:
    """Returns a row of an ERRORS table, of the stage "ingest". Bytes of a file name that are not
    UTF-8 are escaped."""
    row = {"id": row_id, "uri": uri, "stage": "ingest", "kind": kind, "message": message}
    return {key: value.encode(errors="backslashreplace").decode() for key, value in row.items()}
