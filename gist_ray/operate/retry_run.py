"""A run's failed rows once more, and then the run to its end."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import yaml
from rich.console import Console
from rich.table import Table

from gist_ray.errors import UserError
from gist_ray.operate.retry import Candidate, candidates, retry
from gist_ray.run.cluster import cluster_resources, connect
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.run.ray_metrics import RayMetrics
from gist_ray.run.record import recorded
from gist_ray.run.runs import CONFIG_FILE, check_root, read_plan, run_folder, run_names
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig, build
from gist_ray.study.pipeline import plan, run_stages


def retry_run(root: str, name: str, kinds: Collection[str] | None, *, plan_only: bool) -> None:
    """Try rows that failed by these kinds (None: any) again, in all stages of a run.

    Raises UserError before any work, or TooManyFailedRowsError as a run does.
    """
    check_root(root)
    config = read_config(root, name)
    store = ArtifactStore(config.root)
    graph = plan(config, store)
    say_what_changed(root, name, graph.stages)
    found = candidates(graph.stages, store, kinds)
    print_retries(name, found)
    if plan_only:
        return
    progress = Progress()
    with recorded(
        name,
        config,
        store,
        graph.stages,
        progress,
        listeners=[RayMetrics(name)],
        hardware=cluster_resources,
    ) as heartbeat:
        if found:
            connect()
        for candidate in found:
            # It may have been made from what came well just now, and be gone.
            if store.find(candidate.stage.kind, candidate.stage.fingerprint):
                retry(candidate, store, progress, heartbeat)
        run_stages(config, store, graph, graph.stages, progress, heartbeat)


def read_config(root: str, name: str) -> RunConfig:
    """The config that a run was last started with. Its root is where it was found: a folder may
    have moved."""
    uri = storage.join(run_folder(root, name), CONFIG_FILE)
    try:
        values = yaml.safe_load(storage.read_text(uri))
    except FileNotFoundError as error:
        known = ", ".join(run_names(root)) or "none"
        raise UserError(
            f"--run {name}: there is no {CONFIG_FILE} of such a run in {root}. There are: {known}."
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{uri}: is not valid YAML ({error}).") from error
    config: RunConfig = build(RunConfig, {**values, "root": root})
    return replace(config, name=name)


def say_what_changed(root: str, name: str, stages: Sequence[Stage]) -> None:
    """Stages that are others than the run planned, because the data, a model or this program is
    another now: their failed rows are not found, for they are made anew as a whole."""
    planned = read_plan(root, name)
    before = {stage["key"]: stage["fingerprint"] for stage in planned["stages"]} if planned else {}
    changed = [s.key for s in stages if before.get(s.key, s.fingerprint) != s.fingerprint]
    if changed:
        print(
            f"{name}: since its last start the data, a model or this program has changed, so "
            f"{len(changed)} stages are made anew as a whole: {', '.join(changed)}."
        )


def print_retries(name: str, found: Sequence[Candidate]) -> None:
    if not found:
        print(f"{name}: no failed rows of these kinds are stored.")
        return
    table = Table(title=f"Failed rows of {name} to try again", title_justify="left")
    for column in ("stage", "rows", "then made anew"):
        table.add_column(column)
    for candidate in found:
        rows = ", ".join(f"{n:,} {kind}" for kind, n in sorted(candidate.kinds.items()))
        anew = Counter(kind for kind, _ in candidate.made_from_it)
        shown = ", ".join(f"{number} {kind}" for kind, number in anew.items())
        table.add_row(candidate.stage.key, rows, shown or "nothing")
    Console().print(table)
