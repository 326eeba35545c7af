"""The reader of CUB-200-2011: text files with 1-based ids, official train and test, no val."""

import re

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
from gist_ray.datasets.splits import Drawn
from gist_ray.errors import UserError
from gist_ray.store import storage


def read_cub(config: DataConfig) -> Reading:
    """Returns the images of images.txt in its order; label = class id - 1.

    val is a seeded draw of `val_per_class` of each class's official training images (GIST: 3).
    Raises UserError with every broken line.
    """
    root = find_root(config.path, "images.txt", ["", "CUB_200_2011"])
    problems: list[str] = []
    check_image_folder(root, "images", problems)

    def read(file: str) -> dict[str, tuple[int, str]]:
        return lines.read_keyed_lines(storage.join(root, file), problems)

    paths = read("images.txt")
    class_of = read("image_class_labels.txt")
    train_flags = read("train_test_split.txt")
    class_folders = read("classes.txt")
    boxes = read("bounding_boxes.txt") if storage.exists(f"{root}/bounding_boxes.txt") else {}
    if problems:
        raise UserError(problems)

    label_of = {str(number): number - 1 for number in range(1, len(class_folders) + 1)}
    for class_id, (line, _) in class_folders.items():
        if class_id not in label_of:
            problems.append(
                f"{root}/classes.txt, line {line}: class id {class_id!r} is not one of "
                f"1..{len(class_folders)}."
            )
    images = []
    for image_id, (line, path) in paths.items():
        where = f"{root}/images.txt, line {line}"
        class_line, class_id = class_of.get(image_id, (0, ""))
        flag_line, flag = train_flags.get(image_id, (0, ""))
        if not class_line:
            problems.append(f"{where}: image {image_id} is not in image_class_labels.txt.")
        elif class_id not in label_of:
            problems.append(
                f"{root}/image_class_labels.txt, line {class_line}: class {class_id!r} is not in "
                "classes.txt."
            )
        if not flag_line:
            problems.append(f"{where}: image {image_id} is not in train_test_split.txt.")
        elif flag not in ("0", "1"):
            problems.append(
                f"{root}/train_test_split.txt, line {flag_line}: {flag!r} is neither 1 (train) "
                "nor 0 (test)."
            )
        attributes: dict[str, object] = {"id": image_id}
        if image_id in boxes:
            attributes["bounding_box_xywh"] = _box(root, boxes[image_id], problems)
        images.append(
            LabelledImage(
                path=f"images/{path}",
                label=label_of.get(class_id),
                split="train" if flag == "1" else "test",
                attributes=attributes,
                where=where,
            )
        )
    if problems:
        shown: list[str] = []
        lines.report_broken(root, problems, shown)
        raise UserError(shown)
    classes = [
        ClassEntry((class_folders[class_id][1], class_id), _display(class_folders[class_id][1]))
        for class_id in label_of
    ]
    how = f"{config.val_per_class} images of each class drawn from train by seed {config.seed}"
    val = Drawn(lambda _: config.val_per_class, how)
    return Reading(root, classes, images_table(images), drawn={"val": val})


def _display(folder: str) -> str:
    """Returns the display name of a class folder: "001.Black_footed_Albatross" becomes "Black
    footed Albatross"."""
    return re.sub(r"^\d+\.", "", folder).replace("_", " ").strip()


def _box(root: str, numbered: tuple[int, str], problems: list[str]) -> list[float]:
    """Returns x, y, width and height in pixels.

    numbered: (line number, value). Adds a problem for a value that is no box and returns [].
    """
    line, value = numbered
    try:
        x, y, width, height = map(float, value.split())
    except ValueError:
        problems.append(
            f"{root}/bounding_boxes.txt, line {line}: {value!r} is not x y width height."
        )
        return []
    return [x, y, width, height]
