"""A witness says of each labelled image how likely its label is wrong, and which is more likely.

A further witness is one more stage that writes TESTIMONY, in `_witnesses_of` of the job.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata

from gist_ray.run.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Witness:
    """name: in tables; meaning: for the page; stage: writes TESTIMONY. If the stage's artifact says
    `num_issues`, its estimate of the number of wrong labels, that many images are suspects."""

    name: str
    meaning: str
    stage: Stage


def together(testimonies: Mapping[str, pa.Table], image_ids: pa.ChunkedArray) -> np.ndarray:
    """Returns (num_images,) float64, 0 to 1: the mean over the witnesses of the share of the images
    that the witness suspects less than this one, of equal ones half; NaN for an image of which none
    speaks. The mean of ranks was chosen on the worlds 7 and 11; see docs/audit.md.

    testimonies: {witness: TESTIMONY}.
    """
    total, number = np.zeros(len(image_ids)), np.zeros(len(image_ids))
    for table in testimonies.values():
        places = pc.index_in(image_ids, value_set=table["image_id"].combine_chunks())
        known = np.asarray(pc.is_valid(places))
        scores = table["score"].to_numpy()[places.drop_null().to_numpy()]
        total[known] += (rankdata(scores) - 0.5) / max(1, len(scores))
        number[known] += 1
    return np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
