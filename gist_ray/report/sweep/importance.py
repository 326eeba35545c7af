"""Share of the scores' variance that each swept factor explains.

The trials' scores are fitted by an additive model with one effect per value of each factor. A
factor's share is the part of the variance that the model loses without the factor (type II sums of
squares), less the part that as many random effects would explain (as in the adjusted R²). The seed,
or world, is a factor too: its share is due to the draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gist_ray.evaluation.intervals import percentile_interval
from gist_ray.report.sweep.factors import Factor, level
from gist_ray.report.sweep.scores import Measure
from gist_ray.report.sweep.tables import Trial

NUM_BOOTSTRAP = 300
MIN_FREE = 3
"""The model is fitted only with at least this many more trials than effects."""
UNIT = "unit"


@dataclass(frozen=True)
class Share:
    """One factor. share, low, high: parts of the variance, 0 to 1. told: whether it explains more
    than chance would (F test at 1 - confidence)."""

    key: str
    share: float
    low: float
    high: float
    told: bool


@dataclass(frozen=True)
class Importance:
    """shares: the largest first; empty if there are too few trials. rest: the part that no factor
    explains by itself, that is interactions and noise. num_trials, num_needed: the number of
    trials, and the number that the model needs."""

    shares: list[Share]
    rest: float
    num_trials: int
    num_needed: int


def importance(
    trials: Sequence[Trial], factors: Sequence[Factor], measure: Measure, *, confidence: float
) -> Importance:
    """Returns the shares over the trials that have a score and all factors. The intervals come from
    resampling configurations, each with all its draws."""
    used = [
        trial
        for trial in trials
        if trial.trial_id in measure.scores
        and all(factor.key in trial.params for factor in factors)
    ]
    scores = np.array([measure.scores[trial.trial_id].value for trial in used])
    codes = {factor.key: _codes(used, factor) for factor in factors}
    codes[UNIT] = np.unique([trial.unit for trial in used], return_inverse=True)[1]
    codes = {key: code for key, code in codes.items() if len(set(code)) > 1}
    needed = 1 + sum(len(set(code)) - 1 for code in codes.values()) + MIN_FREE
    if len(used) < needed or not codes or np.ptp(scores) == 0:
        # once all trials have a score
        groups = [len(set(factor.groups().values())) for factor in factors]
        groups.append(len({trial.unit for trial in trials}))
        needed = 1 + sum(max(0, number - 1) for number in groups) + MIN_FREE
        return Importance([], 0.0, len(used), needed)

    found = _shares(scores, codes)
    resampled = _bootstrap(scores, codes, _clusters(used))
    shares = []
    for key, (share, p_value) in found.items():
        low, high = percentile_interval(resampled[key], confidence)
        # the bootstrap is skewed where a share is next to nothing: its ends enclose the estimate
        ends = min(low, share), max(high, share)
        shares.append(Share(key, share, *ends, told=p_value < 1 - confidence))
    shares.sort(key=lambda share: -share.share)
    rest = max(0.0, 1 - sum(share.share for share in shares))
    return Importance(shares, rest, len(used), needed)


def _codes(trials: Sequence[Trial], factor: Factor) -> np.ndarray:
    groups = factor.groups()
    return np.array([groups[level(trial, factor.key)] for trial in trials])


def _clusters(trials: Sequence[Trial]) -> np.ndarray:
    """Returns a number for each trial, the same for trials of one configuration: int[trial]."""
    names = [repr(sorted(trial.params.items())) for trial in trials]
    return np.unique(names, return_inverse=True)[1]


def _shares(scores: np.ndarray, codes: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Returns {factor: (its adjusted share, p value of its F test)}."""
    left_full, rank_full = _left(scores, list(codes.values()))
    total = float(((scores - scores.mean()) ** 2).sum())
    num_free = len(scores) - rank_full
    found = {}
    for key in codes:
        left, rank = _left(scores, [code for name, code in codes.items() if name != key])
        num_effects = rank_full - rank
        if num_effects < 1 or num_free < 1 or total == 0:
            found[key] = 0.0, 1.0
            continue
        noise = left_full / num_free
        explained = max(0.0, left - left_full)
        share = min(1.0, max(0.0, (explained - num_effects * noise) / total))
        # without any noise F is infinite, and the least that rounding leaves would be too
        ratio = explained / num_effects / max(noise, 1e-12 * total)
        found[key] = share, float(stats.f.sf(ratio, num_effects, num_free))
    return found


def _left(scores: np.ndarray, codes: Sequence[np.ndarray]) -> tuple[float, int]:
    """Returns the residual sum of squares of the additive model of `codes`, and its rank."""
    columns = [np.ones((len(scores), 1))]
    columns += [(code[:, None] == np.unique(code)[None, 1:]).astype(float) for code in codes]
    design = np.concatenate(columns, axis=1)
    effects, _, rank, _ = np.linalg.lstsq(design, scores, rcond=None)
    return float(((scores - design @ effects) ** 2).sum()), int(rank)


def _bootstrap(
    scores: np.ndarray, codes: dict[str, np.ndarray], clusters: np.ndarray
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(clusters == number) for number in range(clusters.max() + 1)]
    values: dict[str, list[float]] = {key: [] for key in codes}
    for _ in range(NUM_BOOTSTRAP):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        resampled = {key: code[drawn] for key, code in codes.items()}
        for key, (share, _) in _shares(scores[drawn], resampled).items():
            values[key].append(share)
    return {key: np.array(found) for key, found in values.items()}
