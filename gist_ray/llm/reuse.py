"""Answers of earlier runs: no prompt is put twice to the same model with the same parameters."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gist_ray.llm.tables import ANSWERS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.store.parts import PARTS
from gist_ray.store.stored_rows import finished_ids

ADOPTED = f"{PARTS}/adopted.parquet"
WHAT_WAS_ASKED = ["text_id", "prompt", "constraint"]


def adopt_answers(requests: pa.Table, model: Mapping[str, Any], writer: ArtifactWriter) -> int:
    """Copy into the artifact what finished artifacts beside it hold of `requests`, so that a
    class more, or a prompt more, costs only its own texts. Returns how many were copied.

    model: the part of the stage's identity that decides what a prompt is answered with.
    """
    if storage.exists(writer.file(ADOPTED)):
        return 0
    # One's own answers, where a killed run of this stage had begun, are left as they are.
    mine = set(finished_ids(writer, "text_id").to_pylist())
    wanted = {_asked(row): row for row in requests.to_pylist() if row["text_id"] not in mine}
    found: list[dict[str, Any]] = []
    for answers in _of_same_model(model, writer):
        for row in answers.read().to_pylist():
            request = wanted.pop(_asked(row), None)
            if request is not None:
                # The class may have another label now.
                found.append({**row, **request})
    if found:
        storage.write_parquet(writer.file(ADOPTED), pa.Table.from_pylist(found, schema=ANSWERS))
    return len(found)


def _asked(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in WHAT_WAS_ASKED)


def _of_same_model(model: Mapping[str, Any], writer: ArtifactWriter) -> list[Artifact]:
    folder = writer.uri.rsplit("/", 1)[0]
    if not storage.exists(folder):
        return []
    beside = []
    for name in storage.list_files(folder):
        if name.count("/") == 1 and name.endswith("/artifact.json"):
            uri = storage.join(folder, name)
            info = storage.read_json(uri)
            of_prompts = info["parts"] and "prompts" in info["identity"]
            if of_prompts and info["identity"]["model"] == dict(model):
                beside.append(Artifact(uri.removesuffix("/artifact.json"), info))
    return beside
