"""The artifacts that a run left in its root, compared with those of an undisturbed one."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file

IDS = ("image_id", "text_id")

# Of components of unit vectors and of weights. Seen was 0: the rows of a block are the same after a
# task is run again. After a driver's death the rows left are cut into other blocks, whose products
# a machine may sum up in another order.
TOLERANCE = 1e-6


def stored_rows(root: Path, kind: str) -> int:
    """Rows in the part files of the artifacts of a kind, finished or not."""
    return sum(
        pq.read_metadata(part).num_rows for part in root.glob(f"artifacts/{kind}/*/parts/*.parquet")
    )


def is_made(root: Path, kind: str) -> bool:
    """Whether there is a finished artifact of a kind."""
    return any(root.glob(f"artifacts/{kind}/*/artifact.json"))


def check(root: Path, undisturbed: Path) -> float:
    """Fail unless every artifact is whole, holds every row once, and nothing lies beside.

    Returns the largest difference of any component of an embedding or any tuned weight. A run that
    was asked for less has fewer artifacts than the undisturbed one.
    """
    ours, theirs = _artifacts(root), _artifacts(undisturbed)
    assert ours.keys() <= theirs.keys()
    largest = 0.0
    for key, folder in ours.items():
        info, wanted = _info(folder), _info(theirs[key])
        assert info["counts"] == wanted["counts"], key
        listed = {part["file"] for part in info["parts"]}
        assert listed == _part_files(folder), key
        made = [(folder / name).stat().st_mtime_ns for name in listed]
        assert max(made, default=0) <= (folder / "artifact.json").stat().st_mtime_ns, key
        assert not list(folder.rglob("state.pt*")), key
        assert not list(folder.rglob("ray_train")), key
        assert _errors(folder) == _errors(theirs[key]), key
        largest = max(largest, _same_rows(folder, theirs[key]))
        largest = max(largest, _same_weights(folder, theirs[key]))
    return largest


def metrics(root: Path) -> pa.Table:
    (file,) = root.glob("runs/*/metrics.parquet")
    return pq.read_table(file)


def _artifacts(root: Path) -> dict[str, Path]:
    """By kind/fingerprint. A folder without artifact.json is a failure."""
    folders = {f"{p.parent.name}/{p.name}": p for p in root.glob("artifacts/*/*")}
    assert all((folder / "artifact.json").exists() for folder in folders.values())
    return folders


def _info(folder: Path) -> dict:
    return json.loads((folder / "artifact.json").read_text())


def _part_files(folder: Path) -> set[str]:
    names = {f"parts/{file.name}" for file in (folder / "parts").glob("*")}
    return names or {part["file"] for part in _info(folder)["parts"]}


def _errors(folder: Path) -> list[dict]:
    file = folder / "errors.parquet"
    rows = pq.read_table(file).to_pylist() if file.exists() else []
    return sorted(rows, key=lambda row: row["id"])


def _table(folder: Path) -> pa.Table:
    tables = [pq.read_table(folder / part["file"]) for part in _info(folder)["parts"]]
    return pa.concat_tables(tables)


def _same_rows(folder: Path, other: Path) -> float:
    """Fail unless both hold the same ids, each once; the largest difference of embeddings."""
    ours, theirs = _table(folder), _table(other)
    name = next((name for name in IDS if name in ours.column_names), None)
    if name is None or "rank" in ours.column_names:  # matches have an image several times
        assert ours.equals(theirs)
        return 0.0
    ours, theirs = ours.sort_by(name), theirs.sort_by(name)
    ids = ours[name].to_pylist()
    assert len(set(ids)) == len(ids)
    assert ids == theirs[name].to_pylist()
    if "embedding" not in ours.column_names:
        return 0.0
    difference = _matrix(ours) - _matrix(theirs)
    return float(np.abs(difference).max())


def _matrix(table: pa.Table) -> np.ndarray:
    return np.stack(table["embedding"].to_numpy(zero_copy_only=False))


def _same_weights(folder: Path, other: Path) -> float:
    largest = 0.0
    for file in folder.glob("model/*.safetensors"):
        ours, theirs = load_file(file), load_file(other / "model" / file.name)
        assert ours.keys() == theirs.keys()
        largest = max(largest, *(float(np.abs(ours[n] - theirs[n]).max()) for n in ours))
    return largest
