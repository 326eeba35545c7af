"""Pictures in folders: split/class/* or class/*.

The top-level folders are splits if all of them are called train, val, valid, validation or test;
otherwise they are classes. Pictures may lie deeper inside a class's folder.
"""

import os
from collections.abc import Iterator

from gist_ray import storage
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.reading import (
    SPLIT_NAMES,
    ClassEntry,
    LabelledImage,
    Reading,
    error_row,
    is_unicode,
    listed,
)
from gist_ray.datasets.splits import complete_splits
from gist_ray.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FOLDER_SPLITS = SPLIT_NAMES.keys() - {"unlabeled"}


def read_image_folder(config: DataConfig) -> Reading:
    """The pictures below `config.path`, in the order of their paths.

    Raises UserError where the folders are neither splits nor classes.
    """
    root = storage.absolute(config.path)
    errors: list[dict[str, str]] = []
    if storage.is_local(root):
        paths = sorted(_local_pictures(root, errors), key=lambda path: path.split("/"))
    else:
        pictures = filter(_is_picture, storage.list_files(root))
        paths = sorted(pictures, key=lambda path: path.split("/"))

    has_splits = _has_split_folders(root, paths)
    depth = 2 if has_splits else 1
    kept = []
    for path in paths:
        uri = storage.join(root, path)
        if not is_unicode(path):
            message = f"{path!r} is not a UTF-8 file name. Rename it."
            errors.append(error_row(path, uri, "bad_name", message))
        elif path.count("/") >= depth:
            kept.append(path)
        else:
            expected = "split/class/picture" if has_splits else "class/picture"
            message = f"{path!r} lies outside a class folder. Move it to {expected}."
            errors.append(error_row(path, uri, "bad_layout", message))

    class_folders = sorted({path.split("/")[depth - 1] for path in kept})
    label_of = {folder: label for label, folder in enumerate(class_folders)}
    images = []
    for path in kept:
        parts = path.split("/")
        split = SPLIT_NAMES[parts[0].lower()] if has_splits else "train"
        images.append(LabelledImage(path, label_of[parts[depth - 1]], split))
    classes = [ClassEntry((name,), name.replace("_", " ").strip()) for name in class_folders]
    return Reading(root, classes, complete_splits(images, config), errors)


def _has_split_folders(root: str, paths: list[str]) -> bool:
    folders = {path.split("/")[0] for path in paths if "/" in path}
    splits = {folder for folder in folders if folder.lower() in FOLDER_SPLITS}
    # one class may well be called "train"; two such names among others are a mistake
    if folders != splits and len({SPLIT_NAMES[folder.lower()] for folder in splits}) > 1:
        raise UserError(
            f"{root}: has split folders ({listed(sorted(splits))}) and other folders "
            f"({listed(sorted(folders - splits))}) side by side. Move the others away, or put "
            "the classes of all splits at the top."
        )
    return bool(folders) and folders == splits


def _is_picture(path: str) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return not hidden and path.lower().endswith(EXTENSIONS)


def _local_pictures(root: str, errors: list[dict[str, str]]) -> Iterator[str]:
    real_root = os.path.realpath(root)

    def unreadable(error: OSError) -> None:
        uri = str(error.filename)
        errors.append(error_row(uri, uri, "forbidden", f"The folder cannot be read: {error}."))

    def leads_out(uri: str) -> bool:
        return not os.path.realpath(uri).startswith(real_root + os.sep)

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in subfolders:
            uri = os.path.join(folder, name)
            if os.path.islink(uri):
                message = f"{uri!r} is a link to a folder, which is not followed. Copy the folder."
                errors.append(error_row(os.path.relpath(uri, root), uri, "forbidden", message))
        for path in (os.path.relpath(os.path.join(folder, name), root) for name in files):
            uri = os.path.join(root, path)
            if not _is_picture(path):
                continue
            if os.path.islink(uri) and leads_out(uri):
                message = f"{path!r} is a link out of the data set. Copy its target here."
                errors.append(error_row(path, uri, "forbidden", message))
            elif os.path.isfile(uri):
                yield path
            else:
                message = f"{path!r} is not a regular file, or a link to nothing."
                errors.append(error_row(path, uri, "missing", message))
