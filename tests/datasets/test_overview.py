from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.ingest import ingest
from gist_ray.datasets.overview import about_files, about_images, about_shots


def understood(path: str, **values: object):
    return ingest(DataConfig(layout="image_folder", path=path, **values))


def test_the_lines_say_classes_sizes_splits_and_what_was_left_out(tmp_path, write_files):
    sizes = {"ant": 20, "bee": 5, "cat": 12, "dog": 9}
    files = {f"{name}/{n}.jpg": "" for name, size in sizes.items() for n in range(size)}
    files |= {"ant/a.heic": "", "bee/b.heic": "", "cat/list.txt": "", "stray.jpg": ""}
    found = understood(write_files(tmp_path, files), seed=3)
    assert about_images(found.manifest) == [
        "46 images (32 train, 9 test, 5 val) of 4 classes",
        "classes: 'ant', 'bee', 'cat' ...; training images: fewest 'bee' 3, 'dog' 6, 'cat' 9; "
        "most 'ant' 14, 'cat' 9, 'dog' 6",
    ]
    assert about_files(found) == [
        "split test: drawn from train by seed 3",
        "split val: drawn from train by seed 3",
        "files left out: 2 ending .heic, 1 ending .txt",
        "broken rows: 1 bad_layout. The first: 'stray.jpg' lies outside a class folder. Move it to "
        "class/picture.",
    ]


def test_shots_that_classes_lack_and_shots_that_are_the_same_are_said(tmp_path, write_files):
    files = {f"{name}/{n}.jpg": "" for name, size in (("a", 10), ("b", 6)) for n in range(size)}
    manifest = understood(write_files(tmp_path, files)).manifest  # 7 and 4 training images
    assert about_shots(manifest, [1, 4]) == []
    assert about_shots(manifest, [5, 8, 16, "full"]) == [
        "16 shots: the same images as 8 shots, left out",
        "5 shots: 1 of 2 classes have fewer training images, the smallest 4; all of theirs are "
        "taken",
        "8 shots: 2 of 2 classes have fewer training images, the smallest 4; all of theirs are "
        "taken",
    ]


def test_endings_of_files_are_escaped_for_a_terminal(tmp_path, write_files):
    found = understood(write_files(tmp_path, {"a/1.jpg": "", "b/1.jpg": "", "a/x.\x1b[31m": ""}))
    assert about_files(found)[-1] == "files left out: 1 ending .\\x1b[31m"
