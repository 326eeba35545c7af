"""The loop over the steps of a block, in one process."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.run.step import Made, Step, work_on

BLOCK = pa.table({"id": [f"n{n}" for n in range(5)], "n": range(5)})


def made(function: Any, **how: Any) -> Made:
    step = Step(make=lambda: function, **how)
    return Made(step, step.made())


def test_batches_are_cut_from_the_block_and_joined_again() -> None:
    sizes: list[int] = []

    def vectors(batch: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(batch["n"]))
        both = np.stack([batch["n"], -batch["n"]], axis=1).astype(np.float32)
        return {"id": batch["id"], "vector": both, "word": ["w"] * len(both)}

    out = work_on(BLOCK, [made(vectors, batch_size=2)])
    assert sizes == [2, 2, 1]
    assert out["id"].to_pylist() == BLOCK["id"].to_pylist()
    assert out.schema.field("vector").type == pa.list_(pa.float32(), 2)
    assert out["vector"].to_pylist() == [[n, -n] for n in range(5)]
    assert out["word"].to_pylist() == ["w"] * 5


def test_a_step_is_given_what_the_one_before_made_in_the_form_it_wants() -> None:
    def pictures(batch: pa.Table) -> dict[str, Any]:
        pixels = np.stack([np.full((2, 2, 3), n, np.uint8) for n in batch["n"].to_pylist()])
        return {"id": batch["id"].to_pylist(), "pixels": pixels}

    def means(batch: dict[str, Any]) -> dict[str, Any]:
        assert batch["pixels"].shape[1:] == (2, 2, 3)
        return {"id": batch["id"], "mean": batch["pixels"].mean(axis=(1, 2, 3))}

    def doubled(batch: pa.Table) -> pa.Table:
        assert len(batch) == 5
        return batch.append_column("double", pa.array([2 * m for m in batch["mean"].to_pylist()]))

    steps = [
        made(pictures, batch_format="pyarrow", batch_size=3),
        made(means, batch_size=2),
        made(doubled, batch_format="pyarrow"),
    ]
    assert work_on(BLOCK, steps)["double"].to_pylist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("size", [None, 2])
def test_tables_are_joined_too(size: int | None) -> None:
    same = made(lambda table: table, batch_format="pyarrow", batch_size=size)
    assert work_on(BLOCK, [same]).equals(BLOCK)
