"""Counters of a run beside Ray's own metrics, for Prometheus.

Ray exports them from every node under the prefix `ray_`, counters with the suffix `_total`.
"""

from collections.abc import Iterator, Sequence

import ray
from ray.util.metrics import Counter, Gauge

from gist_ray.run.progress import StageProgress

COUNTERS = {
    "gist_ray_rows": ("Rows that a stage stored; kind says why one failed.", ("outcome", "kind")),
    "gist_ray_tokens": ("Tokens that a stage had generated.", ()),
    "gist_ray_steps": ("Optimizer steps of a training.", ()),
}
GAUGES = {
    "gist_ray_left": ("Rows (steps of a training) that a running stage has before it.", ()),
    "gist_ray_stage_seconds": ("How long a stage took, or has been running.", ()),
    "gist_ray_loss": ("The last loss of a training.", ()),
    "gist_ray_val_score": ("The last score of a training on the validation images.", ()),
}
OF_ALL = ("run", "stage")
"""Tags of every metric."""


def exported_names() -> set[str]:
    """Returns the names under which Prometheus finds the metrics."""
    return {f"ray_{name}_total" for name in COUNTERS} | {f"ray_{name}" for name in GAUGES}


class RayMetrics:
    """A listener that adds the progress of a run's stages to Ray's metrics."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._told: dict[tuple[str, ...], int] = {}

    def __call__(self, stages: Sequence[StageProgress]) -> None:
        if not ray.is_initialized():
            return
        if not self._counters:
            self._counters = {
                name: Counter(name, text, (*OF_ALL, *tags))
                for name, (text, tags) in COUNTERS.items()
            }
            self._gauges = {
                name: Gauge(name, text, (*OF_ALL, *tags)) for name, (text, tags) in GAUGES.items()
            }
        for stage in stages:
            for name, tags, total in _totals(stage):
                self._count(name, {"run": self._run, "stage": stage.name, **tags}, total)
            for name, value in _values(stage):
                self._gauges[name].set(value, {"run": self._run, "stage": stage.name})

    def _count(self, name: str, tags: dict[str, str], total: int) -> None:
        key = (name, *tags.values())
        more = total - self._told.get(key, 0)
        if more > 0:
            self._counters[name].inc(more, tags)
            self._told[key] = total


def _totals(stage: StageProgress) -> Iterator[tuple[str, dict[str, str], int]]:
    """Yields (metric, its tags, total) of what this process did in a stage."""
    new = stage.done - stage.already
    if stage.unit == "steps":
        yield "gist_ray_steps", {}, new
        return
    yield "gist_ray_rows", {"outcome": "ok", "kind": ""}, new - sum(stage.failed.values())
    for kind, number in stage.failed.items():
        yield "gist_ray_rows", {"outcome": "failed", "kind": kind}, number
    yield "gist_ray_tokens", {}, stage.counts.get("tokens", 0)


def _values(stage: StageProgress) -> Iterator[tuple[str, float]]:
    yield "gist_ray_stage_seconds", stage.lasts
    if stage.total is not None:
        yield "gist_ray_left", stage.total - stage.done if stage.outcome == "running" else 0
    for name in ("loss", "val score"):
        if name in stage.values:
            yield f"gist_ray_{name.replace(' ', '_')}", stage.values[name]
