"""Cards of single images: which images get one, with their matched texts and the best text of
another class."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.report.text_use import short_texts, texts_by_id


@dataclass(frozen=True)
class CardText:
    """A text and its similarity to the card's image. `short_text` is the text that training used
    instead; None where training used `text`."""

    text: str
    similarity: float
    short_text: str | None = None


@dataclass(frozen=True)
class Card:
    image_id: str
    uri: str
    class_name: str
    # best first
    matched: list[CardText]
    # None where no other class has a text
    other_class: str | None
    other: CardText | None
    # similarity of the best text of its own class minus that of `other`
    margin: float | None


@dataclass(frozen=True)
class ChosenImages:
    """Image ids of the cards."""

    typical: list[str]
    # margin rising
    hardest: list[str]


def choose_images(
    image_statistics: pa.Table, num_typical: int = 6, num_hardest: int = 6
) -> ChosenImages:
    """Returns images spread over the classes, each at most once.

    Hardest: the smallest margins; a class gets a second image only after every class has one.
    Typical: the image with its class's median margin, from classes evenly spaced in their order.
    Equal margins are ordered by image_id, so the order of the rows does not matter.
    """
    rows = image_statistics.select(["image_id", "label", "margin"])
    order = [("margin", "ascending"), ("image_id", "ascending")]
    frame = rows.sort_by(order).to_pandas()
    frame["place"] = frame.groupby("label").cumcount()
    with_margin = frame.dropna(subset=["margin"])
    hardest = with_margin.sort_values(["place", "margin", "image_id"])[:num_hardest]
    hardest = hardest.sort_values(["margin", "image_id"])

    left = frame[~frame["image_id"].isin(hardest["image_id"])]
    medians = [group.iloc[(len(group) - 1) // 2] for _, group in left.groupby("label")]
    typical = [row["image_id"] for row in _evenly(medians, num_typical)]
    return ChosenImages(typical, hardest["image_id"].tolist())


def make_cards(
    image_ids: Sequence[str],
    *,
    image_statistics: pa.Table,
    manifest: pa.Table,
    matches: pa.Table,
    texts: pa.Table,
) -> list[Card]:
    """Returns the cards of `image_ids` in their order, without images that have no match or uri."""
    wanted = pa.array(image_ids, pa.string())
    statistics = _by_id(image_statistics, wanted)
    images = _by_id(manifest, wanted)
    matched = matches.filter(pc.is_in(matches.column("image_id"), wanted)).sort_by("rank")
    rows_of_image: dict[str, list[dict]] = {}
    for row in matched.to_pylist():
        rows_of_image.setdefault(row["image_id"], []).append(row)

    text_ids = {row["text_id"] for row in matched.to_pylist()}
    text_ids |= {row["other_text_id"] for row in statistics.values() if row["other_text_id"]}
    long_texts, trained_on = texts_by_id(texts, text_ids), short_texts(texts, text_ids)
    cards = []
    for image_id in image_ids:
        if image_id not in images or image_id not in rows_of_image:
            continue
        row = statistics[image_id]
        other = None
        if row["other_text_id"] in long_texts:
            other = CardText(long_texts[row["other_text_id"]], row["other_similarity"])
        cards.append(
            Card(
                image_id=image_id,
                uri=images[image_id]["uri"],
                class_name=images[image_id]["class_name"] or "",
                matched=[
                    CardText(
                        long_texts[match["text_id"]],
                        match["similarity"],
                        trained_on.get(match["text_id"]),
                    )
                    for match in rows_of_image[image_id]
                    if match["text_id"] in long_texts
                ],
                other_class=row["other_class_name"],
                other=other,
                margin=row["margin"],
            )
        )
    return cards


def similarity_range(cards: Sequence[Card]) -> tuple[float, float]:
    """Returns (low, high): the similarities at which the bars of these cards begin and end.

    CLIP's similarities lie close together, so bars from zero would all look alike. `low` is
    therefore somewhat below the smallest value shown (our choice), and the page states it.
    """
    shown = [text for card in cards for text in [*card.matched, card.other] if text is not None]
    if not shown:
        return 0.0, 1.0
    low = min(text.similarity for text in shown)
    high = max(text.similarity for text in shown)
    return low - max(0.25 * (high - low), 0.01), high


def _evenly(rows: list[pd.Series], number: int) -> list[pd.Series]:
    if len(rows) <= number:
        return rows
    return [rows[i * len(rows) // number] for i in range(number)]


def _by_id(table: pa.Table, wanted: pa.Array) -> dict[str, dict]:
    rows = table.filter(pc.is_in(table.column("image_id"), wanted)).to_pylist()
    return {row["image_id"]: row for row in rows}
