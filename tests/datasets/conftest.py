from collections.abc import Callable, Mapping

import pytest

from gist_ray.store import storage

WriteFiles = Callable[[str, Mapping[str, str | bytes]], str]


@pytest.fixture
def write_files() -> WriteFiles:
    """Writes {relative path: text or bytes} under a root and returns the root."""

    def write(root: object, files: Mapping[str, str | bytes]) -> str:
        for path, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            storage.write_bytes(storage.join(str(root), path), data)
        return str(root)

    return write
