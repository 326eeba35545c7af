"""What a store says of files without their content being read, for many files at once."""

import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from gist_ray.store import s3, storage

AT_ONCE = 16


def content_facts(uris: Sequence[str]) -> list[str | None]:
    """Returns for each file a text that is the same for files of equal content: the number of bytes
    of a local file; that and the ETag of an object on S3, whose folder is listed.

    None for a file that is not there or whose folder may not be listed, and for one of a store of
    another kind. Objects that were
    uploaded in different ways (in parts of other sizes, with a key of KMS) may have different ETags
    although their content is equal.
    """
    facts: list[str | None] = [None] * len(uris)
    folders: dict[str, dict[str, int]] = defaultdict(dict)
    local = []
    for at, uri in enumerate(uris):
        if storage.is_local(uri):
            local.append(at)
        elif s3.is_s3(uri):
            folder, _, name = uri.rpartition("/")
            folders[folder][name] = at
    with ThreadPoolExecutor(AT_ONCE) as threads:
        sizes = threads.map(_size_of, [uris[at] for at in local], chunksize=1000)
        for at, size in zip(local, sizes, strict=True):
            facts[at] = size
        for folder, found in zip(folders, threads.map(_listed, folders), strict=True):
            for name, at in folders[folder].items():
                facts[at] = found.get(name)
    return facts


def _size_of(uri: str) -> str | None:
    try:
        return str(os.stat(storage.absolute(uri)).st_size)
    except (OSError, ValueError):
        return None


def _listed(folder: str) -> dict[str, str]:
    """Returns {name: size and ETag} of the objects directly in a folder on S3; {} if it cannot be
    listed."""
    files, path = storage.filesystem(folder)
    try:
        found = s3.list_objects(files, path, recursive=False)
        return {one.key: f"{one.num_bytes} {one.etag}" for one in found}
    except Exception:  # who may read objects may not be allowed to list them
        return {}
