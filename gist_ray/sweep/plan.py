"""The plan of a sweep: its trials, those that cannot run, and the resources that one needs."""

from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec

from rich.console import Console
from rich.table import Table

from gist_ray.errors import UserError
from gist_ray.run.cluster import is_local
from gist_ray.study.job import understood
from gist_ray.sweep.capacity import Need, need_of, num_on_this_machine
from gist_ray.sweep.perform import empty_row, stored_row
from gist_ray.sweep.shared import place, shared_places
from gist_ray.sweep.space import grid_points, split_axes
from gist_ray.sweep.tables import Row, by_status, read_rows
from gist_ray.sweep.trackers import tracker_problems
from gist_ray.sweep.trials import (
    Planned,
    Task,
    Trial,
    forget_data,
    known_trials,
    make_trial,
    plan_trial,
    sample_trials,
)


@dataclass(frozen=True)
class SweepPlan:
    task: Task
    trials: list[Trial]
    """All known trials in the order they begin; for Optuna those of earlier starts."""
    planned: list[Planned]
    """Trials that passed every check; for Optuna also samples of its possible suggestions."""
    rows: dict[str, Row] = field(default_factory=dict)
    """trial_id -> row, of the trials that cannot run or that an earlier start has ended."""
    about: list[str] = field(default_factory=list)
    """Lines on what was understood of the data of the first trial that can run."""

    @property
    def pending(self) -> list[Planned]:
        return [one for one in self.planned if one.trial.trial_id not in self.rows]

    @property
    def num_trials(self) -> int:
        sweep = self.task.sweep
        if sweep.search != "optuna":
            return len(self.trials)
        return sweep.num_trials * len(grid_points(split_axes(sweep.space)[1]))

    @property
    def num_left(self) -> int:
        return self.num_trials - len(self.rows)

    @property
    def need(self) -> Need:
        return need_of([one.config for one in self.planned])


def plan_sweep(task: Task) -> SweepPlan:
    """Checks every trial and returns the plan. Raises UserError with all problems if no trial can
    run, if the machine lacks capacity for the wanted number at once, or if trackers or Optuna are
    not available."""
    forget_data()
    is_optuna = task.sweep.search == "optuna"
    trials = _begun_trials(task) if is_optuna else known_trials(task.sweep)
    found = SweepPlan(task, trials, [])
    problems: list[str] = []
    for trial in [*trials, *(sample_trials(task.sweep) if is_optuna else [])]:
        try:
            planned = plan_trial(task, trial)
        except UserError as error:
            problems += error.problems
            if trial in trials:
                found.rows[trial.trial_id] = {
                    **empty_row(task, trial),
                    "status": "failed",
                    "error": " ".join(error.problems),
                }
            continue
        found.planned.append(planned)
        if row := stored_row(task, planned):
            found.rows[trial.trial_id] = row
    if found.planned:
        problems = []
        try:
            found.about.extend(understood(found.planned[0].config, found.planned[0].graph))
        except UserError as error:
            problems = error.problems
    wanted = task.sweep.max_concurrent_trials
    if found.planned and wanted and is_local():
        fitting = num_on_this_machine(found.need)
        if wanted > fitting:
            problems.append(
                f"sweep.max_concurrent_trials={wanted}: {_capacity(found.need)}, and this machine "
                f"has capacity for {fitting} at once. Ask for less, leave it null, or set "
                "RAY_ADDRESS to a cluster."
            )
    problems += tracker_problems(task)
    if is_optuna and find_spec("optuna") is None:
        problems.append("sweep.search=optuna needs Optuna: pip install 'gist-ray[optuna]'.")
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return found


def _begun_trials(task: Task) -> list[Trial]:
    """Returns the trials that Optuna suggested to earlier starts of the sweep."""
    axes = task.sweep.space.keys()
    rows = [row for row in read_rows(task.folder) if row["params"].keys() == axes]
    return [make_trial(row["params"]) for row in rows]


def _capacity(need: Need) -> str:
    gpus = f" and {need.gpus:g} GPUs" if need.gpus else ""
    return f"a trial trains on {need.training_cpus:g} CPUs{gpus}"


def print_sweep(plan: SweepPlan) -> None:
    """Prints the numbers of trials and stages, what is shared and stored, and which trials cannot
    run."""
    task, sweep = plan.task, plan.task.sweep
    counts = by_status(plan.rows.values())
    console = Console()
    for line in plan.about:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"\nSweep {task.base['name']}: {plan.num_trials} trials ({sweep.search}, measured on "
        f"{sweep.measure}), {counts.get('failed', 0)} of them with problems, "
        f"{len(plan.rows) - counts.get('failed', 0)} done before; {_capacity(plan.need)}"
        f"{f', {num_on_this_machine(plan.need)} at once' if is_local() else ''}; {task.folder}"
    )
    table = Table(title="Stages of all trials", title_justify="left")
    for column in ("stage", "needed", "to make", "of these shared", "stored"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    shared = shared_places(plan.planned)
    stages = {place(stage): stage for one in plan.planned for stage in one.stages}
    needed = Counter(place(stage) for one in plan.planned for stage in one.stages)
    stored = {one for one in stages if task.store.find(*one)}
    for name in dict.fromkeys(stage.group for stage in stages.values()):
        members = {one for one, stage in stages.items() if stage.group == name}
        cells = (sum(needed[one] for one in members), len(members - stored))
        table.add_row(name, *map(str, (*cells, len(members & shared), len(members & stored))))
    console.print(table)
    for trial_id, row in plan.rows.items():
        if row["status"] == "failed":
            told = f"trial {trial_id} {row['params']}: {row['error']}"
            console.print(told, markup=False, highlight=False, soft_wrap=True)
