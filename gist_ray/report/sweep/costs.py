"""Time and stages of a sweep, by family of stage."""

from collections import defaultdict
from dataclasses import dataclass

from gist_ray.report.sweep.tables import Sweep


@dataclass(frozen=True)
class Family:
    """One kind of stage over all trials. made, stored: numbers of stages; None where sweep.json
    does not count them."""

    name: str
    seconds: float
    made: int | None
    stored: int | None


@dataclass(frozen=True)
class Costs:
    """seconds: run time of the whole sweep, None if not recorded. trial_seconds: run time of each
    trial that was started, rising."""

    seconds: float | None
    trial_seconds: list[float]
    made: int
    stored: int
    families: list[Family]

    @property
    def seconds_of_trials(self) -> float:
        return sum(self.trial_seconds)

    @property
    def median_seconds(self) -> float:
        rising = self.trial_seconds
        return (rising[(len(rising) - 1) // 2] + rising[len(rising) // 2]) / 2 if rising else 0.0


def costs(sweep: Sweep) -> Costs:
    """Returns the costs from the trials' rows, and the counts by family from sweep.json."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for trial in sweep.trials:
        for name, value in trial.seconds_by_group.items():
            seconds[name] += value
    stages = sweep.info.get("stages", {})
    made, stored = stages.get("made", {}), stages.get("stored", {})
    names = dict.fromkeys([*seconds, *made, *stored])
    families = [
        Family(name, seconds[name], made.get(name, 0) if made or stored else None,
               stored.get(name, 0) if made or stored else None)
        for name in names
    ]  # fmt: skip
    families.sort(key=lambda family: -family.seconds)
    started = sorted(trial.seconds for trial in sweep.trials if trial.seconds)
    return Costs(
        sweep.info.get("seconds"),
        started,
        sum(trial.stages_made for trial in sweep.trials),
        sum(trial.stages_stored for trial in sweep.trials),
        families,
    )
