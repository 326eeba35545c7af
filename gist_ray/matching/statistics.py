"""Statistics of matches: how often texts are used, and how well they separate the classes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.matching.groups import class_groups
from gist_ray.matching.inputs import MatchingInputs
from gist_ray.matching.side_by_side import side_by_side
from gist_ray.matching.similarity import chunks, cosine, unique_rows
from gist_ray.matching.vectors import BLOCK_BYTES

TEXT_STATISTICS = pa.schema(
    [
        pa.field("text_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        # the number of images of which it is the first match, or any match
        pa.field("num_best", pa.int32(), nullable=False),
        pa.field("num_used", pa.int32(), nullable=False),
        # mean similarity to the training images of its class; null if the class has none
        pa.field("own_similarity", pa.float32()),
        # the highest mean similarity to the images of another class; null if there is no other
        pa.field("other_similarity", pa.float32()),
        pa.field("other_label", pa.int32()),
        pa.field("other_class_name", pa.string()),
        # false if other_similarity is above own_similarity
        pa.field("label_preserving", pa.bool_(), nullable=False),
    ]
)

CLASS_STATISTICS = pa.schema(
    [
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("num_images", pa.int32(), nullable=False),
        pa.field("num_images_without_match", pa.int32(), nullable=False),
        pa.field("num_texts", pa.int32(), nullable=False),
        pa.field("num_texts_used", pa.int32(), nullable=False),
        # exp of the entropy of the first matches; null if no image has a match
        pa.field("effective_num_texts", pa.float64()),
        # share of the matched images that have the most frequent first match
        pa.field("top_text_share", pa.float64()),
        # null if no other class has a text
        pa.field("mean_margin", pa.float64()),
        pa.field("share_positive_margin", pa.float64()),
        pa.field("num_not_label_preserving", pa.int32(), nullable=False),
    ]
)

IMAGE_STATISTICS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        # the most similar text of its own class, matched or not
        pa.field("own_text_id", pa.string(), nullable=False),
        pa.field("own_similarity", pa.float32(), nullable=False),
        # the most similar text of any other class; null if no other class has a text
        pa.field("other_text_id", pa.string()),
        pa.field("other_label", pa.int32()),
        pa.field("other_class_name", pa.string()),
        pa.field("other_similarity", pa.float32()),
        # own_similarity - other_similarity
        pa.field("margin", pa.float32()),
    ]
)


@dataclass(frozen=True)
class MatchStatistics:
    """The statistics of a MATCHES table.

    texts, classes, images: tables of TEXT_STATISTICS, CLASS_STATISTICS, IMAGE_STATISTICS.
    summary: totals and means over all of them, for the report.
    """

    texts: pa.Table
    classes: pa.Table
    images: pa.Table
    summary: dict[str, float | int | None]


def match_statistics(inputs: MatchingInputs, matches: pa.Table) -> MatchStatistics:
    """Returns the statistics of a MATCHES table that was made from `inputs`."""
    images, class_means = image_statistics(inputs)
    texts = text_statistics(inputs, matches, class_means)
    classes = class_statistics(inputs, matches, images=images, texts=texts)
    flagged = pc.invert(texts.column("label_preserving"))
    summary = {
        "num_images": images.num_rows,
        "num_images_without_match": pc.sum(classes.column("num_images_without_match")).as_py(),
        "num_texts": texts.num_rows,
        "num_texts_used": pc.sum(pc.greater(texts.column("num_used"), 0)).as_py(),
        "num_not_label_preserving": pc.sum(flagged).as_py(),
        "mean_similarity": pc.mean(matches.column("similarity")).as_py(),
        "mean_effective_num_texts": pc.mean(classes.column("effective_num_texts")).as_py(),
        "mean_top_text_share": pc.mean(classes.column("top_text_share")).as_py(),
        "mean_margin": pc.mean(images.column("margin")).as_py(),
        "share_positive_margin": pc.mean(pc.greater(images.column("margin"), 0)).as_py(),
    }
    return MatchStatistics(texts, classes, images, summary)


def image_statistics(inputs: MatchingInputs) -> tuple[pa.Table, np.ndarray]:
    """Returns IMAGE_STATISTICS, each image's best text of its own class and of any other, and the
    mean image vector of each class with images, (num_classes_with_images, dim) float64.

    Both come from one pass over the image vectors.
    """
    num_images, num_texts = len(inputs.image_labels), len(inputs.text_labels)
    labels, places, counts = np.unique(inputs.image_labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(labels), inputs.text_features.shape[1]))
    own = np.empty(num_images, np.int64)
    other = np.empty(num_images, np.int64)
    own_similarity = np.empty(num_images, np.float32)
    other_similarity = np.empty(num_images, np.float32)
    all_texts = unique_rows(inputs.text_features)
    row_bytes = 4 * (inputs.text_features.shape[1] + 2 * num_texts)

    def work(block: tuple[np.ndarray, np.ndarray], chunk: np.ndarray, texts: np.ndarray) -> None:
        positions, features = block
        similarity = cosine(features, chunk, all_texts)
        images = positions[chunk]
        own[images] = texts[similarity[:, texts].argmax(axis=1)]
        own_similarity[images] = similarity[np.arange(len(chunk)), own[images]]
        similarity[:, texts] = -np.inf
        other[images] = similarity.argmax(axis=1)
        other_similarity[images] = similarity[np.arange(len(chunk)), other[images]]

    for positions, features in inputs.image_blocks(BLOCK_BYTES):
        side_by_side(
            work,
            (
                ((positions, features), chunk, texts)
                for _, rows, texts in class_groups(
                    inputs.image_labels[positions], inputs.text_labels
                )
                for chunk in chunks(rows, row_bytes)
            ),
        )
        present, starts = np.unique(places[positions], return_index=True)
        sums[present] += np.add.reduceat(features, starts, axis=0, dtype=np.float64)
    alone = np.isneginf(other_similarity)
    other_labels = inputs.text_labels[other]
    table = pa.table(
        [
            inputs.image_ids,
            pa.array(inputs.image_labels, pa.int32()),
            inputs.text_ids.take(pa.array(own)),
            pa.array(own_similarity),
            inputs.text_ids.take(pa.array(other, mask=alone)),
            pa.array(other_labels, pa.int32(), mask=alone),
            _names(inputs, other_labels, alone),
            pa.array(other_similarity, mask=alone),
            pa.array(own_similarity - other_similarity, mask=alone),
        ],
        schema=IMAGE_STATISTICS,
    )
    return table, sums / counts[:, None]


def text_statistics(inputs: MatchingInputs, matches: pa.Table, class_means: np.ndarray) -> pa.Table:
    """Returns TEXT_STATISTICS: how often each text is used, and its similarity to the classes.

    class_means: as `image_statistics` returns them. The mean similarity to the images of a class is
    the dot product with the mean of their vectors.
    """
    used = pc.index_in(matches.column("text_id"), inputs.text_ids).to_numpy()
    best = used[matches.column("rank").to_numpy() == 0]
    num_texts = len(inputs.text_labels)
    labels = np.unique(inputs.image_labels)
    similarity = inputs.text_features @ class_means.T
    is_own = labels == inputs.text_labels[:, None]
    own = np.where(is_own, similarity, -np.inf).max(axis=1)
    others = np.where(is_own, -np.inf, similarity)
    other, other_place = others.max(axis=1), others.argmax(axis=1)
    unseen, alone = np.isneginf(own), np.isneginf(other)
    return pa.table(
        [
            inputs.text_ids,
            pa.array(inputs.text_labels, pa.int32()),
            _names(inputs, inputs.text_labels, np.zeros(num_texts, bool)),
            pa.array(np.bincount(best, minlength=num_texts), pa.int32()),
            pa.array(np.bincount(used, minlength=num_texts), pa.int32()),
            pa.array(own.astype(np.float32), mask=unseen),
            pa.array(other.astype(np.float32), mask=alone),
            pa.array(labels[other_place], pa.int32(), mask=alone),
            _names(inputs, labels[other_place], alone),
            pa.array(unseen | (own >= other)),
        ],
        schema=TEXT_STATISTICS,
    )


def class_statistics(
    inputs: MatchingInputs, matches: pa.Table, *, images: pa.Table, texts: pa.Table
) -> pa.Table:
    """Returns CLASS_STATISTICS of the classes with images.

    images, texts: IMAGE_STATISTICS and TEXT_STATISTICS of the same inputs and matches.
    """
    best = matches.filter(pc.equal(matches.column("rank"), 0))
    best_text = np.full(len(inputs.image_labels), -1)
    best_text[pc.index_in(best.column("image_id"), inputs.image_ids).to_numpy()] = pc.index_in(
        best.column("text_id"), inputs.text_ids
    ).to_numpy()
    margins = images.column("margin").to_numpy()
    num_used = texts.column("num_used").to_numpy()
    preserving = texts.column("label_preserving").to_numpy()
    rows = []
    for label, members, own_texts in class_groups(inputs.image_labels, inputs.text_labels):
        matched = best_text[members][best_text[members] >= 0]
        _, counts = np.unique(matched, return_counts=True)
        shares = counts / max(1, len(matched))
        known = margins[members][~np.isnan(margins[members])]
        rows.append(
            {
                "label": label,
                "class_name": inputs.class_names[label],
                "num_images": len(members),
                "num_images_without_match": len(members) - len(matched),
                "num_texts": len(own_texts),
                "num_texts_used": int((num_used[own_texts] > 0).sum()),
                "effective_num_texts": (
                    float(np.exp(-(shares * np.log(shares)).sum())) if len(matched) else None
                ),
                "top_text_share": float(shares.max()) if len(matched) else None,
                "mean_margin": float(known.mean()) if len(known) else None,
                "share_positive_margin": float((known > 0).mean()) if len(known) else None,
                "num_not_label_preserving": int((~preserving[own_texts]).sum()),
            }
        )
    return pa.Table.from_pylist(rows, schema=CLASS_STATISTICS)


def _names(inputs: MatchingInputs, labels: np.ndarray, unknown: np.ndarray) -> pa.Array:
    return pa.array(
        [
            None if blank else inputs.class_names[label]
            for label, blank in zip(labels.tolist(), unknown, strict=True)
        ],
        pa.string(),
    )
