"""What the gain of each configuration could have shown, corrected for how many are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gist_ray.evaluation.significance import (
    detectable_over_draws,
    holm_of_those,
    p_value_over_draws,
)
from gist_ray.report.sweep.configurations import Configuration


@dataclass(frozen=True)
class ShownGain:
    """detectable: the smallest true gain that would mostly have been shown. stands: whether the
    gain's p-value stands Holm's correction; None without a correction."""

    detectable: float | None
    stands: bool | None


def shown_gains(found: Sequence[Configuration], confidence: float) -> dict[str, ShownGain]:
    """Returns {key of a configuration: what its gain shows}, by Student's t over units."""
    gains = {one.key: np.array(list(one.by_unit.values())) for one in found}
    corrected = holm_of_those([p_value_over_draws(values) for values in gains.values()])
    return {
        key: ShownGain(
            detectable_over_draws(values, confidence),
            None if p_holm is None else p_holm < 1 - confidence,
        )
        for (key, values), p_holm in zip(gains.items(), corrected, strict=True)
    }
