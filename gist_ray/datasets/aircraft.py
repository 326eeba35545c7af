"""The reader of FGVC-Aircraft, whose image ids have leading zeros and class names slashes."""

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
from gist_ray.errors import UserError
from gist_ray.store import storage

CLASS_FILES = {
    "variant": "variants.txt",
    "family": "families.txt",
    "manufacturer": "manufacturers.txt",
}


def read_aircraft(config: DataConfig) -> Reading:
    """Returns the images of the official train, val and test lists, in this order; label = line in
    variants.txt (families.txt, manufacturers.txt) - 1.

    Raises UserError with every broken line.
    """
    class_file = CLASS_FILES[config.variant]
    root = find_root(
        config.path, class_file, ["", "data", "fgvc-aircraft-2013b/data", "fgvc-aircraft-2013b"]
    )
    problems: list[str] = []
    check_image_folder(root, "images", problems)
    names = [line.strip() for _, line in lines.read_lines(f"{root}/{class_file}", problems)]
    label_of = {name: label for label, name in enumerate(names)}
    boxes_uri = f"{root}/images_box.txt"
    boxes = lines.read_keyed_lines(boxes_uri, problems) if storage.exists(boxes_uri) else {}

    images = []
    for split in ("train", "val", "test"):
        uri = f"{root}/images_{config.variant}_{split}.txt"
        broken = []
        for image_id, (line, name) in lines.read_keyed_lines(uri, problems).items():
            if name.strip() not in label_of:
                broken.append(f"{uri}, line {line}: {name!r} is not in {class_file}.")
                continue
            attributes: dict[str, object] = {"id": image_id}
            if image_id in boxes:
                attributes["bounding_box_xyxy"] = _box(boxes_uri, boxes[image_id], broken)
            images.append(
                LabelledImage(
                    path=f"images/{image_id}.jpg",
                    label=label_of[name.strip()],
                    split=split,
                    attributes=attributes,
                    where=f"{uri}, line {line}",
                )
            )
        lines.report_broken(uri, broken, problems)
    if problems:
        raise UserError(problems)
    return Reading(root, [ClassEntry((name,), name) for name in names], images_table(images))


def _box(uri: str, numbered: tuple[int, str], broken: list[str]) -> list[int]:
    """Returns the first column and row and the last, in pixels, counted from 1.

    numbered: (line number, value). Adds a value that is no box to `broken` and returns [].
    """
    line, value = numbered
    try:
        xmin, ymin, xmax, ymax = map(int, value.split())
    except ValueError:
        broken.append(f"{uri}, line {line}: {value!r} is not xmin ymin xmax ymax.")
        return []
    return [xmin, ymin, xmax, ymax]
