"""What is stored, and was changed, cut short or swapped by somebody: artifacts, states of
trainings, weights of models."""

import io
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file

from gist_ray.encoders.clip import embedded_folder
from tests.badinput.kinds import Kind

EXECUTED = "executed"
"""The file that a pickle makes when it is executed; in the working folder, which is watched."""


@dataclass(frozen=True, kw_only=True)
class StoredArtifact(Kind):
    """`tamper` changes the folder of finished image embeddings, which matching then reads; the job
    ends with exit code 2 and a sentence that the regular expression finds."""

    tamper: Callable[[Path], None]
    says: str


@dataclass(frozen=True, kw_only=True)
class StoredState(Kind):
    """`make` gives the state.pt of a training from its real one."""

    make: Callable[[bytes], bytes]
    says: str


@dataclass(frozen=True, kw_only=True)
class Weights(Kind):
    """`put` fills the folder of a model beside its open_clip_config.json and tokenizer."""

    put: Callable[[Path], None]
    code: int
    says: str


class Payload:
    """Unpickled without care it would make a file."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {EXECUTED}",)


def _info(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def tamper(folder: Path) -> None:
        info = json.loads((folder / "artifact.json").read_text())
        change(info)
        (folder / "artifact.json").write_text(json.dumps(info))

    return tamper


def _raw_info(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "artifact.json").write_bytes(content) and None


def part(folder: Path) -> Path:
    return next((folder / "parts").glob("*.parquet"))


def _part(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: part(folder).write_bytes(change(part(folder).read_bytes())) and None


def _rows(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda folder: pq.write_table(change(pq.read_table(part(folder))), part(folder))


def _flip(data: bytes) -> bytes:
    """One bit of the embeddings themselves: the middle of the largest column."""
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    column = max((group.column(i) for i in range(2)), key=lambda c: c.total_compressed_size)
    start = column.dictionary_page_offset or column.data_page_offset
    place = start + column.total_compressed_size // 2
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _with_vectors(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        vectors = change(np.array(table["embedding"].to_pylist(), np.float32))
        flat = pa.array(vectors.reshape(-1), pa.float32())
        column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        return table.set_column(1, "embedding", column)

    return changed


def _nan_in_first(vectors: np.ndarray) -> np.ndarray:
    vectors[0, 3] = np.nan
    return vectors


def _artifact(
    name: str, happens: str, tamper: Callable[[Path], None], says: str = ""
) -> StoredArtifact:
    happens = f"{happens}: exit code 2, with what to delete"
    return StoredArtifact(name=f"artifact: {name}", happens=happens, tamper=tamper, says=says)


ARTIFACTS: list[StoredArtifact] = [
    _artifact("rubbish in artifact.json", "noticed", _raw_info(b"{rubbish"), "is not valid JSON"),
    _artifact("no UTF-8 in artifact.json", "noticed", _raw_info(b'{"\xff": 1}'), "not valid JSON"),
    _artifact("a list in artifact.json", "noticed", _raw_info(b"[]"), "lacks what an artifact"),
    _artifact(
        "artifact.json of another",
        "noticed by kind and fingerprint",
        _info(lambda info: info.update(fingerprint="0" * 16)),
        "is of the image_embeddings 0000000000000000",
    ),
    _artifact(
        "config changed in artifact.json",
        "noticed: the fingerprint is its hash",
        _info(lambda info: info["identity"].update(embed={})),
        "has another identity or other inputs than its fingerprint says",
    ),
    _artifact(
        "a count changed in artifact.json",
        "noticed",
        _info(lambda info: info["counts"].update(rows_ok=7)),
        "counts other rows than its parts have",
    ),
    _artifact(
        "counts changed in artifact.json, all alike",
        "noticed when it is read",
        _info(lambda i: (i["parts"][0].update(rows=99), i["counts"].update(rows_ok=99))),
        "rows where artifact.json says 99",
    ),
    _artifact(
        "a part outside its folder",
        "not read",
        _info(lambda info: info["parts"][0].update(file="../../../../sentinel/x.parquet")),
        "names part files outside its folder",
    ),
    _artifact(
        "a part cut short", "noticed", _part(lambda data: data[:-40]), "this part .* is damaged"
    ),
    _artifact(
        "a part missing", "noticed", lambda folder: part(folder).unlink(), "this part .* is damaged"
    ),
    _artifact("a part of no bytes", "noticed", _part(lambda data: b""), "this part .* is damaged"),
    _artifact(
        "a bit turned over", "noticed by a checksum", _part(_flip), "this part .* is damaged"
    ),
    _artifact(
        "a row missing",
        "noticed",
        _rows(lambda table: table.slice(1)),
        "has 7 rows where artifact.json says 8",
    ),
    _artifact(
        "a column missing",
        "noticed",
        _rows(lambda table: table.select(["image_id"])),
        "this part .* is damaged",
    ),
    _artifact(
        "an embedding that is not finite",
        "noticed before anything is matched",
        _rows(_with_vectors(_nan_in_first)),
        "1 embeddings are not L2-normalised or not finite",
    ),
    _artifact(
        "an embedding of length zero",
        "noticed before anything is matched",
        _rows(_with_vectors(lambda vectors: vectors * (np.arange(len(vectors)) > 0)[:, None])),
        "1 embeddings are not L2-normalised or not finite",
    ),
    _artifact(
        "embeddings of another model",
        "noticed before anything is matched",
        _rows(_with_vectors(lambda vectors: np.eye(len(vectors), 8, dtype=np.float32))),
        "image embeddings have 8 dimensions and text embeddings",
    ),
]


def _changed_state(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        state = torch.load(io.BytesIO(data), weights_only=True)
        change(state)
        sink = io.BytesIO()
        torch.save(state, sink)
        return sink.getvalue()

    return make


def _saved_payload() -> bytes:
    sink = io.BytesIO()
    torch.save({"stored_in": "training", "model": Payload()}, sink)
    return sink.getvalue()


def _state(name: str, happens: str, make: Callable[[bytes], bytes], says: str) -> StoredState:
    happens = f"{happens}: exit code 2, with the file to delete"
    return StoredState(name=f"state.pt: {name}", happens=happens, make=make, says=says)


STATES: list[StoredState] = [
    _state("cut short", "refused", lambda data: data[: len(data) // 2], "is not a state of this"),
    _state("no bytes", "refused", lambda data: b"", "is not a state of this training"),
    _state("text", "refused", lambda data: b"no state at all", "is not a state of this training"),
    _state(
        "a pickle",
        "refused, not executed",
        lambda data: pickle.dumps(Payload()),
        "is not a state of this training",
    ),
    _state(
        "a pickle inside a torch file",
        "refused, not executed",
        lambda data: _saved_payload(),
        "is not a state of this training",
    ),
    _state(
        "of another recipe",
        "refused, though all weights fit",
        _changed_state(lambda state: state.update(stored_in="f" * 16)),
        "it is of the training ffffffffffffffff",
    ),
    _state(
        "of another model",
        "refused",
        _changed_state(lambda state: state["model"].pop("text_projection", None)),
        "Missing key",
    ),
]


def _of_shipped_weights(folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    weights = load_file(Path(embedded_folder()) / "open_clip_model.safetensors")
    changed = {name: change(value) for name, value in weights.items()}
    save_file(changed, folder / "open_clip_model.safetensors")


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _weights(name: str, happens: str, put: Callable[[Path], None], says: str, code: int) -> Weights:
    return Weights(name=f"weights: {name}", happens=happens, put=put, says=says, code=code)


SAFETENSORS = "open_clip_model.safetensors"
CANNOT = "exit code 2: cannot be loaded"

WEIGHTS: list[Weights] = [
    _weights("none", CANNOT, lambda folder: None, "open_clip cannot load it", 2),
    _weights(
        "a header of 2^60 bytes",
        CANNOT,
        _file(SAFETENSORS, (2**60).to_bytes(8, "little") + b"{}"),
        "cannot be read as weights alone .SafetensorError",
        2,
    ),
    _weights(
        "a header that is no JSON",
        CANNOT,
        _file(SAFETENSORS, (8).to_bytes(8, "little") + b"no json!"),
        "cannot be read as weights alone .SafetensorError",
        2,
    ),
    _weights(
        "a pickle",
        f"{CANNOT}, not executed",
        _file("open_clip_pytorch_model.bin", pickle.dumps(Payload())),
        "open_clip cannot load it",
        2,
    ),
    _weights(
        "NaN",
        "every row is an error row `bad_embedding`, and the run ends with exit code 1",
        lambda folder: _of_shipped_weights(folder, lambda value: value * float("nan")),
        r"(\d) of \1 rows failed \(bad_embedding: \1\)",
        1,
    ),
]
