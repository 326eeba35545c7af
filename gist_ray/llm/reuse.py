"""Reuse of answers of earlier runs to the same prompt by the same model and parameters."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gist_ray.llm.tables import ANSWERS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.store.parts import PARTS
from gist_ray.store.stored_rows import finished_ids

ADOPTED = f"{PARTS}/adopted.parquet"
REQUEST_COLUMNS = ["text_id", "prompt", "constraint"]


def adopt_answers(requests: pa.Table, model: Mapping[str, Any], writer: ArtifactWriter) -> int:
    """Copies the answers to `requests` from finished artifacts of the same kind, so that an added
    class or prompt costs only its own texts. Returns the number of copied answers.

    model: the part of the stage's identity on which the answer to a prompt depends.
    """
    if storage.exists(writer.file(ADOPTED)):
        return 0
    # Answers that a killed run of this stage has stored are kept.
    mine = set(finished_ids(writer, "text_id").to_pylist())
    wanted = {_request_key(row): row for row in requests.to_pylist() if row["text_id"] not in mine}
    found: list[dict[str, Any]] = []
    for answers in _of_same_model(model, writer):
        for row in answers.read().to_pylist():
            request = wanted.pop(_request_key(row), None)
            if request is not None:
                # The request's columns replace the stored ones: the class's label may have changed.
                found.append({**row, **request})
    if found:
        storage.write_parquet(writer.file(ADOPTED), pa.Table.from_pylist(found, schema=ANSWERS))
    return len(found)


def _request_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in REQUEST_COLUMNS)


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
