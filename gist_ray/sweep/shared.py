"""Artifacts that several trials need, made first so that no trial waits for another."""

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
    """Returns the artifacts that two or more trials need, except trainings and what is made from
    them, which the trials make."""
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
    """Makes the missing shared artifacts; returns {"made": {group of stages: number}}.

    A failure is reported here and fails each trial that needs the artifact, in its own row.
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
