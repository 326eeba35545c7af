"""The second witness: the text that fits an image best, and the class it is of."""

import numpy as np
import pyarrow as pa
from scipy.special import softmax

from gist_ray.matching.vectors import Vectors
from gist_ray.methods.base.features import read_split_in_blocks
from gist_ray.methods.base.problem import TextSet
from gist_ray.schema import TESTIMONY


def judge(
    images: pa.Table, vectors: Vectors, texts: TextSet, *, num_classes: int, logit_scale: float
) -> pa.Table:
    """Returns TESTIMONY of the labelled images of a MANIFEST that have an embedding.

    An image's similarity to a class is that of the class's best text. The score is one minus the
    softmax of the similarities times `logit_scale` at the image's label; an image of a class
    without a text is left out.
    """
    of_label = [np.flatnonzero(texts.labels == label) for label in range(num_classes)]
    has_text = np.array([len(rows) > 0 for rows in of_label])
    tables = [TESTIMONY.empty_table()]
    for _, split in read_split_in_blocks(images, vectors):
        similarity = split.features @ texts.features.T
        best = np.full((len(split.labels), num_classes), -np.inf)
        for label in np.flatnonzero(has_text):
            best[:, label] = similarity[:, of_label[label]].max(axis=1)
        own = softmax(logit_scale * best, axis=1)[np.arange(len(split.labels)), split.labels]
        known = has_text[split.labels]
        columns = [
            split.image_ids.filter(pa.array(known)),
            pa.array((1 - own)[known], pa.float32()),
            pa.array(best.argmax(axis=1)[known], pa.int32()),
        ]
        tables.append(pa.table(columns, schema=TESTIMONY))
    return pa.concat_tables(tables)
