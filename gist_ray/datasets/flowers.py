"""The reader of Oxford Flowers-102: MATLAB files with 1-based numbers and without class names."""

import io
import zlib

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from gist_ray.datasets import lines
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import (
    ClassEntry,
    LabelledImage,
    Reading,
    check_image_folder,
    find_root,
    images_table,
)
from gist_ray.errors import UserError, listed
from gist_ray.store import storage


def read_flowers(config: DataConfig) -> Reading:
    """Returns the images in the order of their numbers; label = class number - 1.

    Names come from cat_to_name.json ({"1": "pink primrose", ...}) if the folder has one.
    Raises UserError if the lists contradict each other.
    """
    root = find_root(config.path, "imagelabels.mat", ["", "flowers-102", "oxford_flowers"])
    problems: list[str] = []
    check_image_folder(root, "jpg", problems)
    (class_of,) = _read_mat(f"{root}/imagelabels.mat", ["labels"], problems)
    lists = _read_mat(f"{root}/setid.mat", ["trnid", "valid", "tstid"], problems)
    names = _names(f"{root}/cat_to_name.json", problems)
    if problems:
        raise UserError(problems)

    train, val, test = lists
    if config.flowers_train_on == "tstid":
        train, test = test, train
    split_of: dict[int, str] = {}
    for split, numbers in (("train", train), ("val", val), ("test", test)):
        twice = sorted(split_of.keys() & set(numbers))
        if twice:
            problems.append(f"{root}/setid.mat: images {listed(twice)} are in more than one list.")
        split_of |= dict.fromkeys(numbers, split)
    expected = set(range(1, len(class_of) + 1))
    for numbers_wrong, what in (
        (split_of.keys() - expected, f"not in 1..{len(class_of)}, the images of imagelabels.mat"),
        (expected - split_of.keys(), "in none of trnid, valid and tstid"),
    ):
        if numbers_wrong:
            problems.append(
                f"{root}/setid.mat: image numbers {listed(sorted(numbers_wrong))} are {what}."
            )
    if class_of and min(class_of) < 1:
        problems.append(f"{root}/imagelabels.mat: has class {min(class_of)}; classes start at 1.")
    if problems:
        raise UserError(problems)

    images = [
        LabelledImage(
            path=f"jpg/image_{number:05d}.jpg",
            label=label - 1,
            split=split_of[number],
            attributes={"id": number},
            where=f"{root}/imagelabels.mat, image {number}",
        )
        for number, label in enumerate(class_of, 1)
    ]
    class_numbers = [str(number) for number in range(1, max(class_of, default=0) + 1)]
    classes = [ClassEntry((number,), names.get(number)) for number in class_numbers]
    return Reading(root, classes, images_table(images))


def _names(uri: str, problems: list[str]) -> dict[str, str]:
    """Returns {class number: name}, empty if there is no such file."""
    if not storage.exists(uri):
        return {}
    names = lines.read_json(uri, problems)
    if isinstance(names, dict) and all(isinstance(name, str) for name in names.values()):
        return names
    problems.append(f'{uri}: is not a JSON object such as {{"1": "pink primrose", ...}}.')
    return {}


def _read_mat(uri: str, keys: list[str], problems: list[str]) -> list[list[int]]:
    """Returns the whole numbers under each key of a MATLAB file."""
    try:
        contents = loadmat(io.BytesIO(storage.read_bytes(uri)))
    except FileNotFoundError:
        problems.append(f"{uri}: this file of the data set is not there.")
        return [[] for _ in keys]
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError, zlib.error) as error:
        problems.append(f"{uri}: is not a MATLAB file that can be read ({error}).")
        return [[] for _ in keys]
    values = []
    for key in keys:
        if key in contents:
            values.append([int(value) for value in np.ravel(contents[key])])
        else:
            problems.append(f"{uri}: has no array {key!r}.")
            values.append([])
    return values
