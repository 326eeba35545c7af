"""The stored rows of a stage: parts with the rows that succeeded, and files with the errors of the
rows that failed. Each file is read once; a later call reads only files that are new or changed."""

from collections.abc import Collection, Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.errors import UserError
from gist_ray.schema import ERRORS
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.store.parts import (
    IDS,
    PARTS,
    StoredFile,
    file_name,
    index_of,
    indexed_ids,
    read_part,
    write_part,
)
from gist_ray.store.read_ahead import read_ahead

FAILED = "failed"


def store_rows(folder: str, rows: pa.Table, id_column: str) -> StoredFile:
    """Writes rows that succeeded as a part."""
    name, num_bytes = write_part(folder, rows, id_column)
    ids = rows.column(id_column).combine_chunks()
    return StoredFile(name, num_bytes, ids, ERRORS.empty_table(), index_of(name))


def store_errors(folder: str, errors: pa.Table) -> StoredFile:
    """Writes the errors (ERRORS) of rows that failed."""
    name, data = f"{FAILED}/{file_name(errors.column('id'))}", storage.parquet_bytes(errors)
    storage.write_bytes(storage.join(folder, name), data)
    return StoredFile(name, len(data), errors.column("id").combine_chunks(), errors)


def stored_files(writer: ArtifactWriter, id_column: str) -> Mapping[str, StoredFile]:
    """Returns the parts and files of errors below the writer's folder, by name, in sorted order.

    They are kept in `writer.stored`, and read again only if their size has changed.
    Raises UserError if one is damaged.
    """
    sizes = _sizes(writer)
    names = [n for n in sizes if n.startswith((f"{PARTS}/", f"{FAILED}/"))]
    known = {n: f for n, f in writer.stored.items() if sizes.get(n) == f.num_bytes}
    reads = [
        partial(_read, writer.uri, name, id_column=id_column, sizes=sizes)
        for name in names
        if name not in known
    ]
    known |= {file.name: file for file in read_ahead(reads)}
    writer.stored = {name: known[name] for name in names}
    return writer.stored


def _read(folder: str, name: str, *, id_column: str, sizes: Mapping[str, int]) -> StoredFile:
    num_bytes, index = sizes[name], index_of(name)
    if name.startswith(FAILED):
        errors = read_part(folder, name)
        return StoredFile(name, num_bytes, errors.column("id").combine_chunks(), errors)
    ids = None
    if index in sizes:
        ids = indexed_ids(folder, name, part_bytes=num_bytes, id_column=id_column)
    if ids is None:
        ids, index = read_part(folder, name, [id_column]).column(id_column).combine_chunks(), ""
    return StoredFile(name, num_bytes, ids, ERRORS.empty_table(), index)


def _sizes(writer: ArtifactWriter) -> dict[str, int]:
    if not storage.exists(writer.uri):
        return {}
    sizes = storage.list_sizes(writer.uri)
    return {name: size for name, size in sizes.items() if name.endswith(".parquet")}


def finished_ids(writer: ArtifactWriter, id_column: str) -> pa.Array:
    """Returns the ids of the rows that are stored, succeeded or failed."""
    return _ids_of(stored_files(writer, id_column).values())


def _ids_of(files: Collection[StoredFile]) -> pa.Array:
    return pa.concat_arrays([pa.array([], pa.string()), *(file.ids for file in files)])


def forget_failed(writer: ArtifactWriter, ids: pa.Array) -> None:
    """Removes rows from the stored failures, so that the next `run_rows` works on them again."""
    names = [name for name in _sizes(writer) if name.startswith(f"{FAILED}/")]
    stored = read_ahead([partial(read_part, writer.uri, name) for name in names])
    for name, errors in zip(names, stored, strict=True):
        rest = errors.filter(pc.invert(pc.is_in(errors.column("id"), value_set=ids)))
        if len(rest) == len(errors):
            continue
        if len(rest):
            store_errors(writer.uri, rest)
        storage.delete(writer.file(name))


def collect(writer: ArtifactWriter, rows: pa.Table, id_column: str) -> None:
    """Counts every stored file in and checks that each of `rows` is in exactly one.

    Raises UserError if not, or if a file is damaged.
    """
    asked = rows.column(id_column).combine_chunks()
    stored = stored_files(writer, id_column)
    out = _ids_of(stored.values())
    if len(out) > pc.count_distinct(out).as_py():
        _leave_repeats_out(writer, stored, id_column)
        stored = stored_files(writer, id_column)
    counted = [file for file in stored.values() if file.name not in writer.leftovers]
    for file in counted:
        if file.name.startswith(FAILED):
            writer.add_errors(file.errors)
        else:
            writer.add_part(file.name, len(file.ids), file.index)
    _leave_indexes_out(writer, {file.index for file in counted})
    out = _ids_of(counted)
    missing = len(rows) - pc.sum(pc.is_in(asked, value_set=out)).as_py() if len(rows) else 0
    unknown = len(out) - pc.sum(pc.is_in(out, value_set=asked)).as_py() if len(out) else 0
    if missing or unknown:
        raise UserError(
            f"{writer.stage}: {missing} rows are missing and {unknown} are not of this input. "
            f"Delete the folder {writer.uri} and run again."
        )


def _leave_repeats_out(
    writer: ArtifactWriter, stored: Mapping[str, StoredFile], id_column: str
) -> None:
    """Leaves each row in one file that counts; a row that succeeded and failed counts as succeeded.
    Files with repeated rows become `writer.leftovers`, and their other rows are stored again.

    A row is in two files if a task that Ray repeated could read an image that it could not read
    before, or if the last tasks of a killed run wrote after the next run had begun and put the same
    row into another block.
    """
    seen: set[str] = set()
    rewritten = set()
    for name in sorted(stored, reverse=True):  # "parts/..." before "failed/..."
        ids = stored[name].ids.to_pylist()
        is_new = [one not in seen for one in ids]
        seen.update(ids)
        if all(is_new):
            continue
        writer.leftovers.add(name)
        if not any(is_new):
            continue
        rest = read_part(writer.uri, name).filter(pa.array(is_new))
        if name.startswith(FAILED):
            kept = store_errors(writer.uri, rest)
        else:
            kept = store_rows(writer.uri, rest, id_column)
        rewritten.add(kept.name)
        writer.stored[kept.name] = kept
    writer.leftovers -= rewritten


def _leave_indexes_out(writer: ArtifactWriter, used: Collection[str]) -> None:
    """Adds the indexes that belong to no counted part to `writer.leftovers`."""
    names = storage.list_files(writer.file(IDS)) if storage.exists(writer.file(IDS)) else ()
    writer.leftovers |= {f"{IDS}/{name}" for name in names} - set(used)
