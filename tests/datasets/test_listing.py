import tracemalloc
from itertools import islice

import pytest
from s3fs import S3FileSystem

from benchmarks.bucket_of_names import bucket_of_names, key
from gist_ray.datasets import listing
from gist_ray.datasets.image_folder import find_pictures
from gist_ray.datasets.listing import Found, files
from gist_ray.errors import UserError
from gist_ray.store import storage

NAMES = ["a-b/1.jpg", "a b/1.jpg", "a/2.jpg", "a/x/1.jpg", "a.jpg", "é/1.jpg", "b/1.jpg"]


@pytest.fixture
def names_on_s3(monkeypatch: pytest.MonkeyPatch):
    """Opens a bucket of so many names."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    opened = []

    def open_bucket(num_keys: int) -> str:
        opened.append(bucket_of_names(num_keys))
        monkeypatch.setenv("AWS_ENDPOINT_URL", opened[-1].__enter__())
        S3FileSystem.clear_instance_cache()  # they know another endpoint
        return f"s3://names{num_keys}/images"

    yield open_bucket
    S3FileSystem.clear_instance_cache()
    for bucket in opened:
        bucket.__exit__(None, None, None)


@pytest.mark.parametrize("root", ["local", "memory://listing"])
def test_files_come_in_the_order_of_their_paths(root, tmp_path, write_files):
    root = write_files(str(tmp_path) if root == "local" else root, dict.fromkeys(NAMES, ""))
    assert [found.path for found in files(root)] == sorted(NAMES)
    assert [found.path for found in files(root, after="a/2.jpg")] == [
        "a/x/1.jpg",
        "b/1.jpg",
        "é/1.jpg",
    ]


def test_pages_of_s3_and_from_behind_a_name_on(names_on_s3):
    root = names_on_s3(2500)
    every = [f"images/{found.path}" for found in files(root)]
    assert every == [key(number) for number in range(2500)]
    rest = files(root, after=key(1199).removeprefix("images/"))
    assert [f"images/{found.path}" for found in rest] == every[1200:]


def test_a_listing_takes_the_memory_of_a_page_however_many_keys_there_are(names_on_s3):
    def peak(num_keys: int) -> int:
        root = names_on_s3(num_keys)
        list(islice(find_pictures(root), 1))  # what is loaded once
        tracemalloc.start()
        listed = sum(len(found) for found in find_pictures(root))
        assert listed == num_keys
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few, many = peak(2000), peak(10_000)
    # the names alone would be more than 800 kB
    assert many - few < 2**19


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gist_ray.datasets.image_folder.PATHS_PER_CHUNK", 1000)


def test_a_store_without_order_is_refused(monkeypatch):
    monkeypatch.setattr(storage, "list_files", lambda root, after: iter(["b/1.jpg", "a/1.jpg"]))
    with pytest.raises(UserError, match=r"in no order \('b/1.jpg' before 'a/1.jpg'\)"):
        list(listing.files("s3://directory-bucket/images"))


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    scandir = listing.os.scandir

    def forbidden(folder: str):
        if folder.rstrip("/").endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(listing.os, "scandir", forbidden)
    (found,) = files(str(tmp_path))
    assert found == Found("a/", "forbidden", found.message)
    assert "cannot be read" in found.message
