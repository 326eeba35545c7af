"""What several trials need is made before they start, so that none waits for another."""

from collections import Counter
from collections.abc import Sequence

from gist_ray.errors import LeaseLostError, UserError
from gist_ray.run.flow import Leases, TooManyFailedRowsError, run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.sweep.tables import Row
from gist_ray.sweep.trials import Planned, Task

Place = tuple[str, str]


def place(stage: Stage) -> Place:
    return stage.kind, stage.fingerprint


def shared_places(planned: Sequence[Planned]) -> set[Place]:
    """The artifacts that two trials or more need, but for trainings and what is made from them:
    to make those is the trials' work."""
    trained = {place(s) for p in planned for s in p.stages if _is_trained(s)}
    needed = Counter(one for p in planned for one in set(map(place, p.stages)))
    return {one for one, times in needed.items() if times > 1} - trained


def _is_trained(stage: Stage) -> bool:
    return stage.kind == "finetuned" or any(_is_trained(source) for source in stage.inputs.values())


def make_shared(
    task: Task,
    planned: Sequence[Planned],
    progress: Progress,
    *,
    num_cpus: float,
    num_gpus: float,
    leases: Leases,
) -> Row:
    """Make what is missing; returns how many of what.

    What fails here fails each trial that needs it in its own row too.
    """
    shared = shared_places(planned)
    seen: set[Place] = set()
    made: Counter[str] = Counter()
    for one in planned:
        stages = [stage for stage in one.stages if place(stage) in shared]
        if seen.issuperset(map(place, stages)):
            continue
        try:
            allowed = one.config.max_failed_fraction
            done = run_flow(
                stages,
                task.store,
                progress,
                num_cpus=num_cpus,
                num_gpus=num_gpus,
                max_failed_fraction=allowed,
                leases=leases,
            )
        except LeaseLostError:
            raise  # it is the sweep's, not the trial's
        except (UserError, TooManyFailedRowsError) as error:
            progress.say(f"trial {one.trial.trial_id}", f"cannot have what it needs: {error}")
            continue
        seen |= {place(stage) for stage in stages}
        for entry in done.values():
            if not entry.was_stored:
                made[entry.stage.group] += 1
    return {"made": dict(made)}
