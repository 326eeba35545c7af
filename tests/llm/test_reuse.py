from pathlib import Path
from typing import Any

import pyarrow as pa

from gist_ray.llm.reuse import ADOPTED, adopt_answers
from gist_ray.llm.tables import ANSWERS, PROMPTS
from gist_ray.schema import table
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore, ArtifactWriter

MODEL = {"model": "tiny", "chat": False}


def request(name: str, label: int = 0, prompt: str = "Describe it.") -> dict[str, Any]:
    row = dict.fromkeys(PROMPTS.names, "")
    return {**row, "text_id": name, "label": label, "sample": 0, "prompt": prompt}


def answers(*requests: dict[str, Any]) -> pa.Table:
    numbers = {"num_prompt_tokens": 1, "num_tokens": 1}
    words = {"raw": "An answer.", "finish_reason": "stop", "model": "tiny"}
    rows = [{**row, **numbers, **words, "sampling_params": "{}"} for row in requests]
    return table(rows, ANSWERS)


def writer(root: Path, content: str, model: dict[str, Any] = MODEL) -> ArtifactWriter:
    config = {"model": model, "prompts": content}
    return ArtifactStore(str(root)).writer("answers", "generate texts", config, inputs={})


def adopted(into: ArtifactWriter, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    count = adopt_answers(table(requests, PROMPTS), MODEL, into)
    rows: list[dict[str, Any]] = (
        storage.read_parquet(into.file(ADOPTED)).to_pylist() if count else []
    )
    assert len(rows) == count
    return rows


def test_what_was_asked_before_is_taken_over_with_todays_label(tmp_path: Path) -> None:
    earlier = writer(tmp_path, "earlier")
    earlier.write(answers(request("wren", label=0), request("robin", label=1)))
    earlier.publish(0)
    asked = [request("auk", label=0), request("wren", label=1), request("robin", 2, "Other?")]
    rows = adopted(writer(tmp_path, "now"), *asked)
    assert [(row["text_id"], row["label"], row["raw"]) for row in rows] == [
        ("wren", 1, "An answer.")
    ]


def test_answers_of_another_model_or_of_an_unfinished_run_are_left(tmp_path: Path) -> None:
    other = writer(tmp_path, "x", {**MODEL, "chat": True})
    other.write(answers(request("wren")))
    other.publish(0)
    unfinished = writer(tmp_path, "y")
    unfinished.write(answers(request("wren")))
    assert adopted(writer(tmp_path, "now"), request("wren")) == []


def test_ones_own_answers_stay(tmp_path: Path) -> None:
    earlier = writer(tmp_path, "earlier")
    earlier.write(answers(request("wren"), request("robin")))
    earlier.publish(0)
    mine = writer(tmp_path, "now")
    storage.write_parquet(mine.file("parts/mine.parquet"), answers(request("wren")))
    rows = adopted(mine, request("wren"), request("robin"))
    assert [row["text_id"] for row in rows] == ["robin"]
    assert adopt_answers(table([request("robin")], PROMPTS), MODEL, mine) == 0
