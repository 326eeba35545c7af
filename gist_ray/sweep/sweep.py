"""A sweep from its config to its tables: plan trials, make what they share, run them, choose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from gist_ray.errors import UserError
from gist_ray.report.sweep.page import write_sweep_report
from gist_ray.report.wording import about_no_test
from gist_ray.run.cluster import (
    cluster_resources,
    connect,
    cpus_without_connecting,
    is_local,
    require_shared,
)
from gist_ray.run.flow import run_flow
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.job import Job
from gist_ray.run.progress import Progress
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.record import recorded
from gist_ray.run.stage import Stage, in_order
from gist_ray.schema import num_labelled, test_sets
from gist_ray.settings.check import build
from gist_ray.store import storage
from gist_ray.study.config import RunConfig
from gist_ray.study.job import folders_of, plan
from gist_ray.sweep.board import Board
from gist_ray.sweep.capacity import (
    Machine,
    machines_of_cluster,
    num_fitting,
    num_on_this_machine,
)
from gist_ray.sweep.choice import choose, experiment_file, groups_of, with_replicates
from gist_ray.sweep.config import SweepRun
from gist_ray.sweep.plan import SweepPlan, plan_sweep, print_sweep
from gist_ray.sweep.shared import make_shared, place, shared_places
from gist_ray.sweep.space import Params, with_params
from gist_ray.sweep.suggest import suggested
from gist_ray.sweep.tables import CHOSEN_FILE, TEST_FILE, Row, test_table, write_row
from gist_ray.sweep.trackers import tracker_callbacks
from gist_ray.sweep.trials import Task, task_of
from gist_ray.sweep.tuner import listed, tune_trials

CHOSEN = "chosen"
"""trial_id of the row of the chosen configuration."""


def run_sweep(
    run: SweepRun,
    groups: Mapping[str, Mapping[str, Any]],
    choices: Mapping[str, str],
    *,
    plan_only: bool,
) -> None:
    """Plans and runs the trials, chooses a configuration and writes the results.

    groups: {group: {choice: its values}} of the axes that choose from a group. choices: {group:
    choice} that the config was composed from. plan_only: print the plan and run nothing.

    Raises UserError before any work if no trial can run, and at the end if no trial is ok.
    """
    task = task_of(run, groups)
    plan = plan_sweep(task)
    print_sweep(plan)
    if plan_only:
        return
    progress = Progress()
    with recorded(
        _job(run, plan),
        progress,
        listeners=[RayMetrics(run.name)],
        hardware=cluster_resources,
    ) as heartbeat:
        board = Board(task, plan.trials, num_trials=plan.num_trials, progress=progress)
        for row in plan.rows.values():
            board.put(row)
        is_over = _run_trials(task, plan, board, progress=progress, heartbeat=heartbeat)
        _conclude(task, board, choices, progress=progress, heartbeat=heartbeat, is_over=is_over)


def _run_trials(
    task: Task, plan: SweepPlan, board: Board, *, progress: Progress, heartbeat: Heartbeat
) -> bool:
    """Returns whether all trials have run, rather than the time budget having ended."""
    if plan.num_left <= 0:
        return True

    need = plan.need
    wanted = num_on_this_machine(need) if is_local() else plan.num_left
    wanted = min(task.sweep.max_concurrent_trials or wanted, plan.num_left)
    connect(min_cpus=wanted * need.cpus)
    for one in plan.pending[:1]:
        require_shared(folders_of(one.config))
    machines = machines_of_cluster()
    at_once = max(1, min(wanted, num_fitting(need, machines)))
    board.write()
    cpus = cpus_without_connecting() if is_local() else sum(cpu for cpu, _ in machines)
    gpus = sum(gpu for _, gpu in machines)
    board.note_shared(
        make_shared(task, plan.pending, progress, num_cpus=cpus, num_gpus=gpus, leases=heartbeat)
    )
    progress.say("sweep", f"{plan.num_left} trials, {at_once} at once")
    # what is left for Ray Data beside the process that leads a trial and its warm worker
    share: Machine = (
        sum(cpu for cpu, _ in machines) / at_once - need.leader_cpus,
        gpus / at_once,
    )
    if task.sweep.search == "optuna":
        how = suggested(task.sweep, board.rows)
    else:
        # what ASHA has seen before it sees again, so that it goes on by the same measure
        is_asha = task.sweep.scheduler == "asha"
        how = listed([p.trial for p in (plan.planned if is_asha else plan.pending)])

    def ended(row: Row) -> None:
        heartbeat.check()
        board.ended(row)

    try:
        return tune_trials(
            task,
            how,
            ended,
            at_once=at_once,
            leader_cpus=need.leader_cpus,
            share=share,
            trackers=tracker_callbacks(task),
        )
    except Exception:
        heartbeat.check()  # Tune (2.60) makes a TuneError of what a callback raises
        raise


def _conclude(
    task: Task,
    board: Board,
    choices: Mapping[str, str],
    *,
    progress: Progress,
    heartbeat: Heartbeat,
    is_over: bool,
) -> None:
    """Chooses by val, writes the choice, only then reads test, and writes the report. Raises
    UserError if no trial is ok."""
    heartbeat.check()
    board.close()
    is_over = is_over and not any(r["status"] in ("not_run", "running") for r in board.rows)
    board.write(is_over=is_over)
    if not any(row["status"] == "ok" for row in board.rows):
        write_sweep_report(task.folder)
        errors = [f"trial {r['trial_id']}: {r['error']}" for r in board.rows if r["error"]]
        raise UserError(errors or ["No trial came out well: all of them were stopped."])
    if not is_over:
        progress.say("sweep", "is not over, so nothing is chosen; the same command goes on")
    elif task.sweep.measure == "val":
        _choose(task, board, choices, progress=progress, heartbeat=heartbeat)
    Console().print(f"\nReport: {write_sweep_report(task.folder)}", soft_wrap=True)


def _choose(
    task: Task,
    board: Board,
    choices: Mapping[str, str],
    *,
    progress: Progress,
    heartbeat: Heartbeat,
) -> None:
    found = choose(task.sweep, board.rows)
    if found is None:
        progress.say("sweep", "nothing is chosen: no configuration came out well in all its trials")
        return
    params, best = found
    values = with_replicates(with_params(task.base, params, task.groups), task.sweep)
    name = f"{task.base['name']}-chosen"
    config: RunConfig = build(RunConfig, {**values, "name": name})
    of_axes = {key: value for key, value in params.items() if key in task.groups}
    num = len(groups_of(board.rows))
    file = storage.join(task.folder, CHOSEN_FILE)
    text = experiment_file(
        config,
        task.sweep,
        name=name,
        file=file,
        choices={**choices, **of_axes},
        best=best,
        num=num,
    )
    storage.write_text(file, text)
    board.write(chosen=params)
    _read_test(task, config, params=params, best=best, progress=progress, heartbeat=heartbeat)
    board.write(chosen=params, is_over=True)
    shown = ", ".join(f"{key}={value}" for key, value in params.items())
    Console().print(f"\nChosen: {shown}\n{file}", soft_wrap=True)


def _read_test(
    task: Task,
    config: RunConfig,
    *,
    params: Params,
    best: Sequence[Row],
    progress: Progress,
    heartbeat: Heartbeat,
) -> None:
    """Writes the test metrics of the chosen configuration, with every swept seed and number of
    shots; none if the data set has no test set."""
    graph = plan(config, task.store)
    if not test_sets(graph.manifest):
        progress.say("sweep", about_no_test(num_labelled(graph.manifest, "val")))
        return
    stages = in_order(graph.metrics)
    artifacts = [stage.fingerprint for stage in stages]
    write_row(task.folder, {"trial_id": CHOSEN, "params": params, "artifacts": artifacts})
    missing = [s for s in stages if not s.find(task.store)]
    num_cpus = connect() if missing else cpus_without_connecting()
    done = run_flow(
        stages,
        task.store,
        progress,
        num_cpus=min(num_cpus, cpus_without_connecting()) if is_local() else num_cpus,
        num_gpus=cluster_resources().get("GPU", 0),
        max_failed_fraction=config.max_failed_fraction,
        leases=heartbeat,
    )
    trials: dict[Any, str] = {(row["shots"], row["seed"]): row["trial_id"] for row in best}
    first = best[0]["trial_id"]  # stands for what is the same in all draws
    tested = [
        (trials.get((row["shots"], row["seed"]), first), [row])
        for stage in graph.metrics
        for row in done[stage.name].artifact.read().to_pylist()
        if row["split"] != "val"
    ]
    storage.write_parquet(storage.join(task.folder, TEST_FILE), test_table(tested))


def _job(run: SweepRun, plan: SweepPlan) -> Job:
    """Returns the sweep as a job, for its record."""
    return Job(
        command="sweep",
        name=run.name,
        config=run,
        root=plan.task.store.root,
        stages=_of_record(plan),
        finish=lambda store, done: (),
    )


def _of_record(plan: SweepPlan) -> list[Stage]:
    """Returns one stage per artifact, with unique names, as stages of two trials may have the same
    name. For Optuna, whose trials are not known yet, only stages that its samples share."""
    found: dict[tuple[str, str], Stage] = {}
    names: set[str] = set()
    sure = shared_places(plan.planned) if plan.task.sweep.search == "optuna" else None
    for one in plan.planned:
        for stage in one.stages:
            if place(stage) in found or (sure is not None and place(stage) not in sure):
                continue
            name = stage.name
            if name in names:
                name = f"{name}, trial {one.trial.trial_id}"
            names.add(name)
            found[place(stage)] = replace(stage, name=name)
    return list(found.values())
