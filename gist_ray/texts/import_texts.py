"""Imports ready-made texts or captions as a texts table."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from gist_ray.datasets.reading import read_given_table
from gist_ray.errors import UserError
from gist_ray.schema import CLASS_TEXTS, MATCHES, TEXTS, stable_id, table
from gist_ray.store import storage
from gist_ray.texts.image_keys import find_images
from gist_ray.texts.names import index_by_normal_form, normal_form
from gist_ray.texts.tidy import MAX_ANSWER_CHARS, as_unicode, tidy

PROMPT_ID = "imported"


@dataclass(frozen=True)
class ImportedTexts:
    """Imported texts.

    texts: a TEXTS table. matches: for captions of images, their pairs as a MATCHES table with
    similarities NaN. num_unknown: the number of images of the file that were skipped because the
    manifest does not have them.
    """

    texts: pa.Table
    matches: pa.Table | None = None
    num_unknown: int = 0


def import_texts(
    uri: str, manifest: pa.Table, unknown_images: Literal["error", "skip"] = "error"
) -> ImportedTexts:
    """Reads texts for the classes of `manifest` (a MANIFEST table).

    A `.parquet` file has the columns `text` and `class_name` or `label`, and any other column of
    TEXTS. Any other file is JSON: {class: [texts]}, or {image: [captions, best first]} if its keys
    are images of the manifest and no classes. Class names are compared by `normal_form`, file names
    as `find_images` describes.

    Args:
        unknown_images: whether captions of images that the manifest does not have are an error or
            skipped.

    Raises:
        UserError: lists every class without a text, every text without a class, every ambiguous
            key, and every other problem of the file.
    """
    classes = _classes(manifest)
    if uri.endswith(".parquet"):
        return ImportedTexts(_from_table(uri, classes))
    by_key = _read_text_lists(uri)
    images = manifest.select(["image_id", "uri", "class_name"]).to_pylist()
    found_images = find_images(list(by_key), [image["uri"] for image in images])
    names_a_class = index_by_normal_form(by_key).keys() & index_by_normal_form(classes).keys()
    if any(found_images) and not names_a_class:
        return _from_image_texts(
            uri,
            by_key,
            images,
            found_images=found_images,
            classes=classes,
            unknown_images=unknown_images,
        )
    return ImportedTexts(_from_class_texts(uri, by_key, classes))


def _classes(manifest: pa.Table) -> dict[str, int]:
    """Returns {class name: label}, in the order of labels."""
    pairs = manifest.select(["label", "class_name"]).drop_null().group_by(["label", "class_name"])
    rows = sorted(pairs.aggregate([]).to_pylist(), key=lambda row: row["label"])
    return {row["class_name"]: row["label"] for row in rows}


def _read_text_lists(uri: str) -> dict[str, list[str]]:
    problems: list[str] = []

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        problems.extend(f"{uri}: key {k!r} occurs {n} times." for k, n in counts.items() if n > 1)
        return dict(pairs)

    try:
        content = json.loads(storage.read_text(uri), object_pairs_hook=without_repeats)
    except FileNotFoundError as error:
        raise UserError(f"{uri}: there is no such file.") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{uri}:{error.lineno}: is not valid JSON ({error.msg}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{uri}: is not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{uri}: cannot be read as JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{uri}: must be a JSON object of lists of texts, {{name: [text, ...]}}.")
    for key, texts in content.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            problems.append(f"{uri}: the value of {key!r} is not a list of texts.")
    if problems:
        raise UserError(problems)
    return content


def _from_class_texts(uri: str, by_key: dict[str, list[str]], classes: dict[str, int]) -> pa.Table:
    class_of_key, problems = _match_names(uri, list(by_key), list(classes))
    if problems:
        raise UserError(problems)
    texts = {name: by_key[key] for key, name in class_of_key.items() if by_key[key]}
    _require_all_classes(uri, classes, set(texts))
    rows = []
    for name, label in classes.items():
        rows += [
            _row(name, label, sample=sample, text=text) for sample, text in enumerate(texts[name])
        ]
    return table(rows, TEXTS)


def _from_image_texts(
    uri: str,
    by_key: dict[str, list[str]],
    images: list[dict[str, Any]],
    *,
    found_images: tuple[dict[str, int], dict[str, int]],
    classes: dict[str, int],
    unknown_images: str,
) -> ImportedTexts:
    image_of_key, ambiguous = found_images
    problems = [
        f"{uri}: {key!r} fits {count} images of the manifest. Give more of their paths."
        for key, count in ambiguous.items()
    ]
    unknown = [key for key in by_key if key not in image_of_key and key not in ambiguous]
    if unknown and unknown_images == "error":
        problems.append(
            f"{uri}: {len(unknown)} images are not in the manifest: {_listed(unknown)}. Take them "
            'out of the file, or have them skipped with unknown_images="skip".'
        )
    unlabeled = [key for key, row in image_of_key.items() if images[row]["class_name"] is None]
    if unlabeled:
        problems.append(f"{uri}: {len(unlabeled)} images have no class: {_listed(unlabeled)}.")
    keys_of: dict[int, list[str]] = {}
    for key, row in image_of_key.items():
        keys_of.setdefault(row, []).append(key)
    problems += [
        f"{uri}: {_listed(keys)} all mean the image {images[row]['uri']}."
        for row, keys in keys_of.items()
        if len(keys) > 1
    ]
    if problems:
        raise UserError(problems)

    rows: dict[str, dict[str, Any]] = {}
    samples: Counter[str] = Counter()
    matches = []
    for key, row_number in image_of_key.items():
        image = images[row_number]
        name = image["class_name"]
        # GIST's files repeat a text for some images.
        for rank, text in enumerate(dict.fromkeys(by_key[key])):
            text_key = stable_id(name, text)
            if text_key not in rows:
                rows[text_key] = _row(name, classes[name], sample=samples[name], text=text)
                samples[name] += 1
            matches.append(
                {
                    "image_id": image["image_id"],
                    "rank": rank,
                    "text_id": rows[text_key]["text_id"],
                    "similarity": float("nan"),
                }
            )
    _require_all_classes(uri, classes, set(samples))
    in_order = sorted(rows.values(), key=lambda row: (row["label"], row["sample"]))
    return ImportedTexts(table(in_order, TEXTS), table(matches, MATCHES), len(unknown))


def _from_table(uri: str, classes: dict[str, int]) -> pa.Table:
    given = read_given_table(uri)
    columns = set(given.column_names)
    if "text" not in columns or not columns & {"class_name", "label"}:
        raise UserError(
            f"{uri}: needs the columns text and class_name (or label); it has "
            f"{', '.join(given.column_names)}."
        )
    rows = given.to_pylist()
    name_of_label = {label: name for name, label in classes.items()}
    problems = [
        f"{uri}: row {number} has no text."
        for number, row in enumerate(rows)
        if not row["text"] or not isinstance(row["text"], str)
    ]
    if "class_name" in columns:
        keys = list(dict.fromkeys(str(row["class_name"]) for row in rows))
        class_of_key, found = _match_names(uri, keys, list(classes))
        problems += found
        names = [class_of_key.get(str(row["class_name"])) for row in rows]
    else:
        names = [name_of_label.get(row["label"]) for row in rows]
        strange = sorted({str(row["label"]) for row in rows if row["label"] not in name_of_label})
        if strange:
            problems.append(f"{uri}: no class has the labels {_listed(strange)}.")
    if problems:
        raise UserError(problems)
    samples: Counter[str] = Counter()
    imported = []
    for row, name in zip(rows, names, strict=True):
        assert name is not None
        others = set(TEXTS.names) - {"text", "set"}
        given_values = {key: row[key] for key in others if row.get(key) is not None}
        made = _row(name, classes[name], sample=samples[name], text=row["text"])
        imported.append({**made, **given_values, "label": classes[name], "class_name": name})
        samples[name] += 1
    _require_all_classes(uri, classes, set(samples))
    repeated = [i for i, n in Counter(row["text_id"] for row in imported).items() if n > 1]
    if repeated:
        raise UserError(f"{uri}: these text_id occur more than once: {_listed(repeated)}.")
    try:
        return table(imported, TEXTS)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(
            f"{uri}: a column is not of its type in a texts table ({error})."
        ) from error


def _row(class_name: str, label: int, *, sample: int, text: str) -> dict[str, Any]:
    is_too_long = len(text) > MAX_ANSWER_CHARS
    return {
        "text_id": stable_id(class_name, PROMPT_ID, "", sample),
        "set": CLASS_TEXTS,
        "label": label,
        "class_name": class_name,
        "axis": "",
        "prompt_id": PROMPT_ID,
        "sample": sample,
        "prompt": "",
        "raw": as_unicode(text[: MAX_ANSWER_CHARS + 1]),
        "text": "" if is_too_long else tidy(text),
        "rejected": "too_long" if is_too_long else None,
        "model": PROMPT_ID,
        "sampling_params": "{}",
    }


def _match_names(
    uri: str, keys: Sequence[str], classes: Sequence[str]
) -> tuple[dict[str, str], list[str]]:
    """Returns {key: class name} and the problems: several keys or classes with one normal form,
    keys without a class, classes without a key."""
    keys_of = index_by_normal_form(keys)
    classes_of = index_by_normal_form(classes)
    problems = []
    for same in classes_of.values():
        if len(same) > 1:
            problems.append(
                f"The classes {_listed(same)} differ too little to tell whose text is whose."
            )
    for form, same in keys_of.items():
        if len(same) > 1 and form in classes_of:
            problems.append(f"{uri}: {_listed(same)} all mean the class {classes_of[form][0]!r}.")
    strangers = [key for key in keys if normal_form(key) not in classes_of]
    if strangers:
        problems.append(
            f"{uri}: {len(strangers)} names are no class of the data set: {_listed(strangers)}."
        )
    lacking = [name for name in classes if normal_form(name) not in keys_of]
    if lacking:
        problems.append(f"{uri}: {len(lacking)} classes have no text: {_listed(lacking)}.")
    matched = {
        key: classes_of[form][0]
        for form, same in keys_of.items()
        for key in same
        if form in classes_of
    }
    return matched, problems


def _require_all_classes(uri: str, classes: dict[str, int], with_text: set[str]) -> None:
    lacking = [name for name in classes if name not in with_text]
    if lacking:
        raise UserError(f"{uri}: {len(lacking)} classes have no text: {_listed(lacking)}.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
