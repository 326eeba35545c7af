from pathlib import Path
from typing import Any

import pytest

from gist_ray.store import storage

STRANGE_NAME = "a::b #1 caf\u00e9 \u732b.txt"


@pytest.mark.parametrize("place", ["local", "memory"])
def test_sizes_are_listed_with_names(place: str, tmp_path: Path) -> None:
    root = str(tmp_path) if place == "local" else "memory://sizes"
    storage.write_bytes(f"{root}/b/c", bytes(3))
    storage.write_bytes(f"{root}/a", b"")
    assert storage.list_sizes(root) == {"a": 0, "b/c": 3}


def test_strange_names_are_only_names(tmp_path: Path) -> None:
    uri = storage.join(str(tmp_path), "new folder", STRANGE_NAME)
    storage.write_text(uri, "hello")
    assert storage.read_text(uri) == "hello"
    assert list(storage.list_files(str(tmp_path))) == [f"new folder/{STRANGE_NAME}"]


def test_memory_is_a_place_like_any_other() -> None:
    root = "memory://test_storage"
    storage.write_json(f"{root}/a b/#1.json", {"n": 1})
    storage.write_text(f"{root}/z.txt", "z")
    assert storage.read_json(f"{root}/a b/#1.json") == {"n": 1}
    assert list(storage.list_files(root)) == ["a b/#1.json", "z.txt"]
    storage.delete(root)
    assert not storage.exists(f"{root}/z.txt")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "file")
    storage.write_text(uri, "old")

    def fail(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        storage.write_text(uri, "new")
    with pytest.raises(OSError, match="disk full"):
        storage.put_file(uri, str(tmp_path / "copy"))
    assert storage.read_text(uri) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("root", ["local", "memory://names"])
def test_names_that_start_alike(root: str, tmp_path: Path) -> None:
    folder = str(tmp_path) if root == "local" else root
    for name in ("alive.json", "alive.2.json", "alive", "[a]live.3.json", "b/alive.4.json"):
        storage.write_text(f"{folder}/{name}", "")
    assert sorted(storage.names_starting_with(f"{folder}/alive.")) == ["alive.2.json", "alive.json"]
    assert storage.names_starting_with(f"{folder}/nowhere/alive.") == []
