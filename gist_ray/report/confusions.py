"""The pairs of classes that are confused most often, with images of both."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Example:
    """One image; `predicted` is the name of the predicted class."""

    uri: str
    predicted: str
    wrong: bool
    # the text of the predicted class that fits the image best
    explanation: str | None


@dataclass(frozen=True)
class Side:
    """One class of a confused pair."""

    class_name: str
    num_images: int
    # how many of them were taken for the other class of the pair
    num_mistaken: int
    examples: list[Example]


@dataclass(frozen=True)
class Confusions:
    pairs: list[tuple[Side, Side]]
    # how many pairs of classes were confused at all
    num_pairs: int
    num_wrong: int
    num_images: int


def most_confused(
    predictions: pa.Table, manifest: pa.Table, *, num_pairs: int = 8, num_examples: int = 2
) -> Confusions:
    """Returns the pairs of classes with the most mistakes, counted both ways, most first.

    Each class is shown by images of it that were predicted as the other one, the most probable
    mistakes first, and, if there are too few, by images that were recognised. Images without a
    label do not count.
    """
    labelled = predictions.filter(pc.is_valid(predictions.column("label")))
    answers = labelled.select(["label", "predicted"]).to_pandas()
    wrong = answers[answers["label"] != answers["predicted"]]
    pairs = pd.DataFrame(
        {
            "low": wrong[["label", "predicted"]].min(axis=1),
            "high": wrong[["label", "predicted"]].max(axis=1),
        }
    )
    counts = pairs.value_counts().reset_index(name="mistakes")
    counts = counts.sort_values(["mistakes", "low", "high"], ascending=[False, True, True])

    names = _class_names(manifest)
    top = [(int(low), int(high)) for low, high in counts[["low", "high"]].to_numpy()[:num_pairs]]
    shown_labels = pa.array({label for pair in top for label in pair}, pa.int32())
    of_pairs = labelled.filter(pc.is_in(labelled.column("label"), value_set=shown_labels))
    shown = of_pairs.drop_columns(["top5"]).to_pandas()
    uris = _uris(manifest, set(shown["image_id"]))
    sides = [
        (
            _side(shown, low, high, names=names, uris=uris, num_examples=num_examples),
            _side(shown, high, low, names=names, uris=uris, num_examples=num_examples),
        )
        for low, high in top
    ]
    return Confusions(sides, len(counts), len(wrong), len(answers))


def _side(
    frame: pd.DataFrame,
    label: int,
    other: int,
    *,
    names: dict[int, str],
    uris: dict[str, str],
    num_examples: int,
) -> Side:
    own = frame[frame["label"] == label]
    mistaken = own["predicted"] == other
    right = own["predicted"] == label
    ordered = own.assign(mistaken=mistaken, right=right).sort_values(
        ["mistaken", "right", "probability", "image_id"], ascending=[False, False, False, True]
    )
    examples = [
        Example(
            uri=uris[row["image_id"]],
            predicted=_name(names, row["predicted"]),
            wrong=row["predicted"] != label,
            explanation=row["explanation"] if isinstance(row["explanation"], str) else None,
        )
        for row in ordered[ordered["image_id"].isin(uris)][:num_examples].to_dict("records")
    ]
    return Side(_name(names, label), len(own), int(mistaken.sum()), examples)


def _class_names(manifest: pa.Table) -> dict[int, str]:
    classes = manifest.select(["label", "class_name"]).group_by(["label", "class_name"])
    rows = classes.aggregate([]).to_pylist()
    return {row["label"]: row["class_name"] for row in rows if row["class_name"] is not None}


def _name(names: dict[int, str], label: int) -> str:
    return names.get(label, f"class {label}")


def _uris(manifest: pa.Table, image_ids: set[str]) -> dict[str, str]:
    wanted = pa.array(image_ids, pa.string())
    found = manifest.filter(pc.is_in(manifest.column("image_id"), value_set=wanted))
    return dict(
        zip(found.column("image_id").to_pylist(), found.column("uri").to_pylist(), strict=True)
    )
