"""One run from config to report: plan, run what is not stored, collect, write it down."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import pyarrow.compute as pc
import torch
from rich.console import Console
from rich.table import Table

from gist_ray.datasets.config import DataConfig
from gist_ray.encoders.clip import check_clip
from gist_ray.errors import UserError
from gist_ray.llm.config import model_problems
from gist_ray.run.cluster import (
    cluster_resources,
    connect,
    cpus_without_connecting,
    relative_in_job,
    require_shared,
)
from gist_ray.run.flow import Stage, family, run_flow
from gist_ray.run.heartbeat import Heartbeat
from gist_ray.run.progress import Progress
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.record import recorded
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.store.reachable import why_unwritable
from gist_ray.study.config import RunConfig, missing_files
from gist_ray.study.data import Data, read_data
from gist_ray.study.graph import Measure, RunGraph, build_graph, in_order
from gist_ray.study.results import write_results
from gist_ray.study.shared_folders import shared_folders
from gist_ray.texts.prompt_set import prompt_set_problems


def run_pipeline(config: RunConfig, *, plan_only: bool, until: str | None) -> None:
    """Plan, run and report. Raises UserError before any work, or TooManyFailedRowsError."""
    store = ArtifactStore(config.root)
    graph = plan(config, store)
    stages = _up_to(graph.stages, until)
    print_plan(config, store, graph, stages)
    if plan_only:
        return
    progress = Progress()
    with recorded(
        config.name,
        config,
        store,
        graph.stages,
        progress,
        wanted={stage.key for stage in stages},
        until=until,
        listeners=[RayMetrics(config.name)],
        hardware=cluster_resources,
    ) as heartbeat:
        run_stages(config, store, graph, stages, progress, heartbeat)


def run_stages(
    config: RunConfig,
    store: ArtifactStore,
    graph: RunGraph,
    stages: Sequence[Stage],
    progress: Progress,
    heartbeat: Heartbeat,
) -> None:
    """Make what is missing of `stages`, and the results where these are all of the run."""
    missing = [s for s in stages if not store.find(s.kind, s.fingerprint)]
    num_cpus = connect() if missing else cpus_without_connecting()
    if missing:
        require_shared(shared_folders(config))
    done = run_flow(
        stages,
        store,
        progress,
        num_cpus=min(num_cpus, cpus_without_connecting()) if _is_local() else num_cpus,
        num_gpus=cluster_resources().get("GPU", 0),
        max_failed_fraction=config.max_failed_fraction,
        leases=heartbeat,
    )
    if len(stages) == len(graph.stages):
        folder = write_results(config, store, graph, done)
        Console().print(f"\nReport: {folder}/report.html")
    else:
        for stage in stages[-1:]:
            print(f"\n{stage.key}: {done[stage.key].artifact.uri}")


def plan(
    config: RunConfig,
    store: ArtifactStore,
    measure: Measure = "test",
    read: Callable[[RunConfig, ArtifactStore], Data] = read_data,
) -> RunGraph:
    """The stages of the run. Raises UserError with all problems that can be seen before work."""
    problems = [f"prompts.{problem}" for problem in prompt_set_problems(config.prompts)]
    missing = missing_files(asdict(config))
    problems += missing
    if why := why_no_root(config) or why_unwritable(config.root):
        problems.append(f"root={config.root}: {why}.")
    for clip in filter(None, (config.clip, config.matcher)):
        problems += _problems_of(partial(check_clip, clip))
    if not config.texts.import_from:
        problems += model_problems(config.llm)
    problems += relative_in_job(shared_folders(config))
    problems += resource_problems(config)
    graph: list[RunGraph] = []
    if not missing:
        problems += _problems_of(lambda: graph.append(build_graph(config, store, measure, read)))
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return graph[0]


def why_no_root(config: RunConfig) -> str:
    """ "" if a run may write below its root, else why not."""
    root = storage.absolute(config.root)
    if not config.root or config.root.startswith("~") or root == "/":
        return "has to be a folder of its own, written out, such as results or s3://bucket/results"
    if isinstance(config.data, DataConfig):
        data = storage.absolute(config.data.path)
        if f"{root}/".startswith(f"{data}/"):
            return f"lies in the data set {data}, which is only read. Choose a folder outside it"
    return ""


def resource_problems(config: RunConfig) -> list[str]:
    """What this machine cannot give. On a cluster (RAY_ADDRESS) nodes may still join, so nothing
    is refused there."""
    if not _is_local():
        return []
    num_cpus, num_gpus = cpus_without_connecting(), torch.cuda.device_count()
    tune, embed = config.finetune, config.embed
    wants_cpus = {
        "finetune.num_workers x finetune.cpus_per_worker": tune.num_workers * tune.cpus_per_worker,
        "embed.cpus_per_worker": embed.cpus_per_worker,
        "llm.num_replicas x llm.cpus_per_replica": (
            config.llm.num_replicas * config.llm.cpus_per_replica
        ),
    }
    llm_gpus = 0 if config.llm.gpus_per_replica == "auto" else config.llm.gpus_per_replica
    wants_gpus = {
        "finetune.num_workers x finetune.gpus_per_worker": tune.num_workers * tune.gpus_per_worker,
        "embed.gpus_per_worker": embed.gpus_per_worker,
        "llm.num_replicas x llm.gpus_per_replica": config.llm.num_replicas * llm_gpus,
    }
    problems = [
        f"{what} asks for {want:g} CPUs and this machine gives Ray {num_cpus:g}. Ask for less, or "
        "set RAY_ADDRESS to a cluster."
        for what, want in wants_cpus.items()
        if want > num_cpus
    ]
    return problems + [
        f"{what} asks for {want:g} GPUs and this machine has {num_gpus}. Set it to 0 to run on the "
        "CPU, or set RAY_ADDRESS to a cluster."
        for what, want in wants_gpus.items()
        if want > num_gpus
    ]


def print_plan(
    config: RunConfig, store: ArtifactStore, graph: RunGraph, stages: Sequence[Stage]
) -> None:
    """Which stages there are, how many of them are stored, and how large the data is."""
    rows = graph.manifest
    splits = rows.column("split").value_counts().to_pylist()
    sizes = ", ".join(f"{count['counts']:,} {count['values']}" for count in splits)
    classes = pc.count_distinct(rows.column("label")).as_py()
    table = Table(title=f"Plan of {config.name}", title_justify="left")
    for column in ("stage", "how many", "stored", "rows each", "CPUs each"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for name, members in _families(stages).items():
        found = [store.find(stage.kind, stage.fingerprint) for stage in members]
        num_rows = {artifact.counts["rows_ok"] for artifact in found if artifact}
        num_rows |= {stage.num_rows for stage in members if stage.num_rows is not None}
        shown = f"{min(num_rows):,}" if len(num_rows) == 1 else ""
        if len(num_rows) > 1:
            shown = f"{min(num_rows):,} to {max(num_rows):,}"
        stored = sum(artifact is not None for artifact in found)
        table.add_row(name, str(len(members)), str(stored), shown, f"{members[0].cpus:g}")
    console = Console()
    console.print(f"\n{rows.num_rows:,} images ({sizes}) of {classes} classes; root {store.root}")
    console.print(table)


def _families(stages: Sequence[Stage]) -> dict[str, list[Stage]]:
    """Stages of one kind of work together, in the order of the flow."""
    families: dict[str, list[Stage]] = {}
    for stage in stages:
        families.setdefault(family(stage.key), []).append(stage)
    return families


def _up_to(stages: Sequence[Stage], until: str | None) -> list[Stage]:
    """Stages whose key begins with `until`, and all that they need."""
    if until is None:
        return list(stages)
    wanted = [stage for stage in stages if stage.key.startswith(until)]
    if not wanted:
        names = ", ".join(_families(stages))
        raise UserError(f"--until {until}: no stage begins so. There are: {names}.")
    return in_order(wanted)


def _problems_of(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except UserError as error:
        return error.problems
    return []


def _is_local() -> bool:
    return not os.environ.get("RAY_ADDRESS")
