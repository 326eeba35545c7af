from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.errors import UserError
from gist_ray.matching.config import MatchingConfig
from gist_ray.matching.inputs import MatchingTables, gather_inputs, without_embedding
from gist_ray.matching.match import match
from gist_ray.matching.vectors import vectors_in_memory
from gist_ray.schema import ERRORS, MANIFEST, MATCHES, TEXTS, embeddings, table


def image_row(image_id: str, label: int | None, split: str = "train") -> dict[str, Any]:
    name = None if label is None else f"class {label}"
    return {
        "image_id": image_id,
        "uri": f"{image_id}.png",
        "label": label,
        "class_name": name,
        "split": split,
        "attributes": "{}",
    }


def text_row(text_id: str, label: int, rejected: str | None = None) -> dict[str, Any]:
    blank = dict.fromkeys(
        ("axis", "prompt_id", "prompt", "raw", "text", "model", "sampling_params"), ""
    )
    return blank | {
        "text_id": text_id,
        "label": label,
        "class_name": f"class {label}",
        "sample": 0,
        "rejected": rejected,
    }


def vectors(id_column: str, of: dict[str, list[float]]) -> pa.Table:
    rows = [
        {id_column: key, "embedding": (np.array(vector) / np.linalg.norm(vector)).tolist()}
        for key, vector in of.items()
    ]
    return table(rows, embeddings(id_column, len(rows[0]["embedding"])))


def tables(**changes: pa.Table) -> tuple[pa.Table, ...]:
    made = {
        "manifest": table(
            [
                image_row("b", 0),
                image_row("a", 1),
                image_row("c", 0, "test"),
                image_row("d", 0),
                image_row("e", None, "unlabeled"),
            ],
            MANIFEST,
        ),
        # not in the manifest's order, and without "d"
        "image_embeddings": vectors(
            "image_id", {"e": [1, 0], "a": [0, 1], "c": [1, 0], "b": [2, 1]}
        ),
        "texts": table(
            [
                text_row("t0", 0),
                text_row("t1", 1),
                text_row("t2", 0, "duplicate"),
                text_row("t3", 0),
                text_row("t4", 1),
            ],
            TEXTS,
        ),
        "text_embeddings": vectors(
            "text_id", {"t3": [1, 0], "t1": [0, 1], "t0": [0, 1], "t2": [2, 1]}
        ),
    }
    return tuple((made | changes).values())


def sources(made: tuple[pa.Table, ...]) -> MatchingTables:
    """Returns the four tables as `match` takes them."""
    manifest, images, texts, of_texts = made
    return MatchingTables(
        manifest,
        vectors_in_memory(images, "image_id"),
        texts,
        vectors_in_memory(of_texts, "text_id"),
    )


def run(seed: int = 0, *, changes: dict[str, pa.Table] | None = None, **config: Any) -> pa.Table:
    return match(sources(tables(**(changes or {}))), MatchingConfig(**config), seed)


def test_joins_by_id_and_keeps_to_train_images_and_usable_texts() -> None:
    matches = run(k=2)
    assert matches.schema == MATCHES
    rows = [(row["image_id"], row["rank"], row["text_id"]) for row in matches.to_pylist()]
    assert rows == [("b", 0, "t3"), ("b", 1, "t0"), ("a", 0, "t1")]
    np.testing.assert_allclose(
        matches.column("similarity").to_numpy(), [2 / 5**0.5, 1 / 5**0.5, 1], rtol=1e-6
    )


def test_tables_in_several_pieces_and_slices_are_read_right() -> None:
    pieces = tuple(pa.concat_tables([whole.slice(0, 1), whole.slice(1)]) for whole in tables())
    assert match(sources(pieces), MatchingConfig(), 0).equals(run())
    padded = list(tables())
    padded[1] = pa.concat_tables([padded[1], padded[1]]).combine_chunks().slice(4)
    assert match(sources(tuple(padded)), MatchingConfig(), 0).equals(run())


@pytest.mark.parametrize("variant", ["topk", "sampled", "mmr", "random", "all", "any_class"])
def test_matched_block_by_block_it_is_what_it_is_at_once(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    names = [f"i{number:02}" for number in range(40)]
    images = {name: rng.normal(size=4).tolist() for name in rng.permutation(names)}
    of_texts = {f"t{number}": rng.normal(size=4).tolist() for number in range(9)}
    changes = {
        "manifest": table([image_row(name, int(name[1:]) % 2) for name in names], MANIFEST),
        "image_embeddings": pa.concat_tables(
            [vectors("image_id", {name: vector}) for name, vector in images.items()]
        ),
        "texts": table([text_row(name, int(name[1:]) % 2) for name in of_texts], TEXTS),
        "text_embeddings": vectors("text_id", of_texts),
    }
    at_once = run(5, changes=changes, variant=variant, k=2)
    monkeypatch.setattr("gist_ray.matching.match.BLOCK_BYTES", 7 * 4 * 4)
    in_blocks = run(5, changes=changes, variant=variant, k=2)
    columns = ["image_id", "rank", "text_id"]
    assert in_blocks.select(columns).equals(at_once.select(columns))
    np.testing.assert_allclose(in_blocks["similarity"], at_once["similarity"], atol=1e-6)


def test_rows_without_embedding_are_reported() -> None:
    errors = without_embedding(sources(tables()))
    assert errors.schema == ERRORS
    assert [(row["id"], row["uri"], row["kind"]) for row in errors.to_pylist()] == [
        ("d", "d.png", "no_embedding"),
        ("t4", "", "no_embedding"),
    ]


@pytest.mark.parametrize("variant", ["topk", "sampled", "mmr", "balanced"])
def test_every_variant_keeps_the_label(variant: str) -> None:
    matches = run(variant=variant, k=1)
    assert matches.column("image_id").to_pylist() == ["b", "a"]
    best = {"b": {"t0", "t3"}, "a": {"t1"}}
    assert all(row["text_id"] in best[row["image_id"]] for row in matches.to_pylist())


def test_controls() -> None:
    assert run(variant="class_name").equals(MATCHES.empty_table())
    assert run(variant="all", k=1).num_rows == 3
    assert run(variant="random", k=1).num_rows == 2
    far = run(variant="any_class", k=1, changes={"texts": tables()[2].slice(0, 2)})
    assert far.column("text_id").to_pylist() == ["t0", "t0"]


def test_minimum_similarity_drops_texts_and_renumbers_ranks() -> None:
    kept = run(k=2, min_similarity=0.5)
    assert [(row["image_id"], row["rank"], row["text_id"]) for row in kept.to_pylist()] == [
        ("b", 0, "t3"),
        ("a", 0, "t1"),
    ]
    # the dissimilar text may be drawn first: what is left still starts at rank 0
    for seed in range(5):
        sampled = run(seed, variant="sampled", temperature=100.0, k=2, min_similarity=0.5)
        assert sampled.column("rank").to_pylist() == [0, 0]
    assert run(variant="all", min_similarity=0.99).num_rows == 3
    far = {"image_embeddings": vectors("image_id", {"a": [1, 1], "b": [1, 1]})}
    with pytest.raises(UserError, match=r"min_similarity=0.9 leaves no match.* is 0.707"):
        run(min_similarity=0.9, changes=far)


def test_all_problems_of_the_tables_come_at_once() -> None:
    twice = vectors("image_id", {"a": [1, 0, 0], "b": [1, 0, 0]})
    long = table([{"text_id": "t0", "embedding": [3.0, 4.0]}], embeddings("text_id", 2))
    made = (
        table([image_row("a", None)], MANIFEST),
        pa.concat_tables([twice, twice]),
        table([text_row("t0", 0)], TEXTS),
        long,
    )
    with pytest.raises(UserError) as caught:
        gather_inputs(sources(made))
    told = caught.value.problems
    assert len(told) == 4
    for problem, expected in zip(
        told,
        [
            "image embeddings: 2 ids occur more than once (first: 'a')",
            "text embeddings: 1 embeddings are not L2-normalised or not finite (first: 't0' with "
            "length 5)",
            "image embeddings have 3 dimensions and text embeddings 2",
            "1 images of split 'train' have no label (first: 'a')",
        ],
        strict=True,
    ):
        assert expected in problem


def test_no_text_that_no_check_rejected_is_an_error() -> None:
    with pytest.raises(UserError, match="no text is left to match"):
        run(changes={"texts": table([text_row("t0", 0, "url")], TEXTS)})


def test_an_embedding_that_is_not_finite_is_found() -> None:
    bad = table([{"image_id": "a", "embedding": [float("nan"), 1.0]}], embeddings("image_id", 2))
    with pytest.raises(UserError, match="not L2-normalised or not finite"):
        run(changes={"image_embeddings": bad})


def test_no_train_image_is_an_error() -> None:
    with pytest.raises(UserError, match="no image of split 'train' has an embedding"):
        run(changes={"manifest": table([image_row("c", 0, "test")], MANIFEST)})


def test_classes_without_texts_and_different_names_are_listed_by_name() -> None:
    other = text_row("t0", 0) | {"class_name": "wren"}
    with pytest.raises(UserError) as caught:
        run(changes={"texts": table([other], TEXTS)})
    assert (
        "label 0 is 'class 0' in the manifest and 'wren' in the texts" in caught.value.problems[0]
    )
    assert "1 classes have training images and no usable text: 'class 1' (label 1)" in str(
        caught.value
    )
